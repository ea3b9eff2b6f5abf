// Package check decodes the manifests as Kubernetes itself would, with its own types and
// strictly: a field that does not exist, or is of another type, is an error. It is a
// module of its own, so that waggle does not depend on Kubernetes. make lint-kubernetes
// runs it.
package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

func TestManifestsAreWhatKubernetesTakes(t *testing.T) {
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var kind struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			object := map[string]any{
				"v1 ConfigMap":                  new(core.ConfigMap),
				"v1 Secret":                     new(core.Secret),
				"v1 Service":                    new(core.Service),
				"apps/v1 Deployment":            new(apps.Deployment),
				"apps/v1 StatefulSet":           new(apps.StatefulSet),
				"policy/v1 PodDisruptionBudget": new(policy.PodDisruptionBudget),
			}[kind.APIVersion+" "+kind.Kind]
			if object == nil {
				t.Errorf("%s: %+v is not known here", name, kind)
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Errorf("%s: %s: %v", name, kind.Kind, err)
			}
		}
	}
}
