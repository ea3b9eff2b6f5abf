package maptest

import (
	"testing"

	"waggle/store/shared"
)

func TestMemoryConforms(t *testing.T) {
	m := &Memory{}
	Run(t, func(*testing.T) shared.Map { return m })
}

func TestMemoryThatForgetsAtOnceConforms(t *testing.T) {
	m := &Memory{Keep: 1}
	for _, b := range behaviours {
		if b.name != "PutsAreSeenByOthers" { // which wants that little is remembered
			t.Run(b.name, func(t *testing.T) { b.run(t, func(*testing.T) shared.Map { return m }) })
		}
	}
}
