package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"waggle/config"
)

const deploy = "../../deploy/"

// load reads what a file in deploy sets for waggle.
func load(t *testing.T, environ []string) config.Config {
	t.Helper()
	loaded, err := config.Load(functionFlags(), environ)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func TestKnativeServiceHasSettingsThatWaggleTakes(t *testing.T) {
	file, err := os.Open(deploy + "knative/service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var service struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Args []string
						Env  []struct{ Name, Value string }
					}
				}
			}
		}
	}
	if err := yaml.NewDecoder(file).Decode(&service); err != nil { // the first document
		t.Fatal(err)
	}
	container := service.Spec.Template.Spec.Containers[0]
	var environ []string
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	c := load(t, environ)
	if !c.Store.Remote() || len(c.Listen.UDP) != 0 || len(c.Listen.HTTP) != 1 || c.Listen.HTTP[0] != ":8080" || c.Log.Format != "json" || container.Args[0] != "serve" {
		t.Errorf("%+v", c)
	}
}

// setting matches WAGGLE_KEY: VALUE, and what stands for a value in CloudFormation.
var setting = regexp.MustCompile(`(?m)^ +(WAGGLE_\w+): *(.*)$`)

func TestTemplateHasSettingsThatWaggleTakes(t *testing.T) {
	text, err := os.ReadFile(deploy + "lambda/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"!If": "dynamodb://table?region=us-east-1", "!Ref TorrentsMode": "open", "!Ref ShowTorrents": "false",
	}
	var environ []string
	for _, found := range setting.FindAllStringSubmatch(string(text), -1) {
		value, ok := values[found[2]]
		if !ok {
			t.Errorf("nothing stands for %s", found[0])
		}
		environ = append(environ, found[1]+"="+value)
	}
	c := load(t, environ)
	if len(environ) != 3 || c.Store.Scheme() != "dynamodb" {
		t.Errorf("%q", environ)
	}
	for _, allowed := range regexp.MustCompile(`AllowedValues: \[(open, listed)\]`).FindAllStringSubmatch(string(text), -1) {
		for mode := range strings.SplitSeq(allowed[1], ", ") {
			load(t, []string{"WAGGLE_TORRENTS_MODE=" + mode})
		}
	}
}

// TestTemplateMakesTheTableThatWaggleMakes compares the template with what "waggle
// dynamodb create-table" asks a service for.
func TestTemplateMakesTheTableThatWaggleMakes(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	asked := map[string]map[string]any{} // by operation
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		body := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		asked[operation] = body
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		answer := map[string]any{}
		switch operation {
		case "DescribeTable":
			answer["Table"] = asked["CreateTable"]
			asked["CreateTable"]["TableStatus"] = "ACTIVE"
		case "GetItem": // of the mark, as if another one had written it
			answer["Item"] = map[string]any{
				"program": map[string]any{"S": "waggle"}, "schema": map[string]any{"N": "1"}, "heads": map[string]any{"N": "64"},
				"key": map[string]any{"B": bytes.Repeat([]byte{1}, 16)},
			}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer service.Close()
	if err := execute(t, newDynamoDBCommand(), []string{"create-table", "dynamodb://waggle?endpoint=" + service.URL}); err != nil {
		t.Fatal(err)
	}

	text, err := os.ReadFile(deploy + "lambda/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources struct {
			Table struct {
				Properties map[string]any `yaml:"Properties"`
			} `yaml:"Table"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	want := asked["CreateTable"]
	delete(want, "TableName")
	delete(want, "TableStatus")
	want["TimeToLiveSpecification"] = asked["UpdateTimeToLive"]["TimeToLiveSpecification"]
	if got := template.Resources.Table.Properties; !reflect.DeepEqual(got, want) {
		t.Errorf("the template has the table\n%v\nwant\n%v", got, want)
	}
}

// TestActionIsCreatedWithItsSettings runs deploy/openwhisk/action.sh with a wsk that
// writes down what it is told.
func TestActionIsCreatedWithItsSettings(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	fake := "#!/bin/sh\nfor argument in \"$@\"; do printf '%s ' \"$argument\" >>" + said + "; done\necho >>" + said + "\ntest \"$1 $2\" != 'trigger get'\n"
	if err := os.WriteFile(filepath.Join(dir, "wsk"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), deploy+"openwhisk/action.sh", "registry.example/waggle-action")
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "WAGGLE_STORE=s3://bucket/prefix", "WAGGLE_TRACES_SHARE=10%", "AWS_ACCESS_KEY_ID=key", "AWS_PROFILE=mine"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"action update waggle --docker registry.example/waggle-action --web raw --memory 256 --timeout 60000 --env WAGGLE_STORE s3://bucket/prefix --env WAGGLE_TRACES_SHARE 10% --env AWS_ACCESS_KEY_ID key \n",
		"trigger create waggle-tidy --feed /whisk.system/alarms/interval --param minutes 15 --param trigger_payload {\"detail-type\": \"Scheduled Event\"} \n",
		"rule update waggle-tidy waggle-tidy waggle \n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("wsk was not told %q, but\n%s", want, text)
		}
	}
}
