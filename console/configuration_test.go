package console_test

import (
	"testing"

	"waggle/console"
	"waggle/console/client"
)

func TestConfigurationInForceIsShown(t *testing.T) {
	value := "30m"
	w := newWorld(t, func(o *console.Options) {
		o.Configuration = func() client.Configuration {
			return client.Configuration{
				File: "waggle.yaml", Sections: map[string]string{"announce": "How often."},
				Settings: []client.Setting{{Key: "announce.interval", Section: "announce", Value: value, Default: "30m", Source: "waggle.yaml:2", Doc: "How long."}},
			}
		}
	})
	for _, value = range []string{"30m", "20m"} { // as after a reload
		got := decode[client.Configuration](t, w.do(t, get("/api/v1/configuration")))
		if len(got.Settings) != 1 || got.Settings[0].Value != value || got.Settings[0].Source != "waggle.yaml:2" || got.Sections["announce"] == "" || got.File != "waggle.yaml" {
			t.Errorf("%+v", got)
		}
	}
	if got, err := w.client(t, "").Configuration(t.Context()); err != nil || len(got.Settings) != 1 {
		t.Errorf("the client has %+v, %v", got, err)
	}
	without := newWorld(t, nil)
	if got := decode[client.Configuration](t, without.do(t, get("/api/v1/configuration"))); got.Settings == nil || len(got.Settings) != 0 {
		t.Errorf("without a configuration: %+v", got)
	}
}

func TestConfigurationIsForAnAdmin(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Token = token })
	if got := w.do(t, get("/api/v1/configuration")); got.status != 401 && got.status != 403 {
		t.Errorf("a viewer gets %d", got.status)
	}
	q := get("/api/v1/configuration")
	q.header = map[string]string{"Authorization": "Bearer " + token}
	if got := w.do(t, q); got.status != 200 {
		t.Errorf("an admin gets %d, %s", got.status, got.body)
	}
}
