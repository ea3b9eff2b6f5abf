package web

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestEveryLineOfAChartHasAColourOfItsOwn(t *testing.T) {
	style, err := os.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plots {
		for i, l := range p.lines {
			for _, rule := range []string{"--series-%d: light-dark(", ".s%d::before {", ".plot .p%d {"} {
				if rule = fmt.Sprintf(rule, i+1); !strings.Contains(string(style), rule) {
					t.Errorf("%s, %s: the style sheet has no %q", p.title, l.label, rule)
				}
			}
		}
	}
}
