package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"waggle/config"
)

// manifest is what the tests look at of an object of Kubernetes.
type manifest struct {
	Kind       string            `yaml:"kind"`
	Data       map[string]string `yaml:"data"`
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		ExternalTrafficPolicy string `yaml:"externalTrafficPolicy"`
		SessionAffinity       string `yaml:"sessionAffinity"`
		Ports                 []struct {
			Protocol string `yaml:"protocol"`
			Port     int    `yaml:"port"`
		} `yaml:"ports"`
		Template struct {
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type podSpec struct {
	Security struct {
		NonRoot bool              `yaml:"runAsNonRoot"`
		User    int               `yaml:"runAsUser"`
		Seccomp map[string]string `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []struct {
		Args      []string `yaml:"args"`
		Env       []struct{ Name, Value string }
		Liveness  probe `yaml:"livenessProbe"`
		Readiness probe `yaml:"readinessProbe"`
		Security  struct {
			Escalation   *bool               `yaml:"allowPrivilegeEscalation"`
			ReadOnly     bool                `yaml:"readOnlyRootFilesystem"`
			Capabilities map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
	} `yaml:"containers"`
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

// manifests returns the objects in a file of deploy/kubernetes, by their kinds.
func manifests(t *testing.T, name string) map[string]manifest {
	t.Helper()
	file, err := os.Open(deploy + "kubernetes/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	all := map[string]manifest{}
	for decoder := yaml.NewDecoder(file); ; {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, known := all[m.Kind]; !known {
			all[m.Kind] = m
		}
	}
}

func TestKubernetesHasSettingsThatWaggleTakes(t *testing.T) {
	for name, source := range map[string]string{"sqlite.yaml": "ConfigMap", "redis.yaml": "Secret"} {
		m := manifests(t, name)[source]
		text := m.Data["waggle.yaml"] + m.StringData["waggle.yaml"]
		path := filepath.Join(t.TempDir(), "waggle.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.CheckFile(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c := load(t, []string{"WAGGLE_CONFIG=" + path})
		if c.Store.Remote() != (name == "redis.yaml") || c.Listen.UDP[0] != ":6969" || c.Listen.HTTP[0] != ":6969" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestKubernetesRunsWaggleAsNobodyAndAsksItsHealth(t *testing.T) {
	for name, kind := range map[string]string{"sqlite.yaml": "StatefulSet", "redis.yaml": "Deployment"} {
		all := manifests(t, name)
		if service := all["Service"].Spec; service.ExternalTrafficPolicy != "Local" || len(service.Ports) != 2 || service.Ports[0].Protocol == service.Ports[1].Protocol || service.Ports[0].Port != 6969 {
			t.Errorf("%s: clients lose their addresses, or have no way in: %+v", name, service)
		}
		if affinity := all["Service"].Spec.SessionAffinity; kind == "Deployment" && affinity != "ClientIP" {
			t.Errorf("%s: the connection id that one pod gives is shown to another: affinity %q", name, affinity)
		}
		pod := all[kind].Spec.Template.Spec
		if !pod.Security.NonRoot || pod.Security.User == 0 || pod.Security.Seccomp["type"] != "RuntimeDefault" {
			t.Errorf("%s: %+v", name, pod.Security)
		}
		if len(pod.Containers) != 1 {
			t.Fatalf("%s: %d containers", name, len(pod.Containers))
		}
		c := pod.Containers[0]
		if c.Security.Escalation == nil || *c.Security.Escalation || !c.Security.ReadOnly || strings.Join(c.Security.Capabilities["drop"], "") != "ALL" {
			t.Errorf("%s: %+v", name, c.Security)
		}
		if c.Liveness.Get.Path != "/health/live" || c.Readiness.Get.Path != "/health" || c.Liveness.Get.Port != "announce-http" || c.Args[0] != "serve" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
