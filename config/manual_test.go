package config

import "testing"

func TestManualKnowsTheSectionOfEveryKey(t *testing.T) {
	introduction, sections := Manual()
	if introduction == "" {
		t.Error("there is no introduction")
	}
	for _, setting := range Defaults().Effective() {
		if setting.Section != "" && sections[setting.Section] == "" {
			t.Errorf("%s: nothing is said of its section", setting.Key)
		}
	}
}
