package metrics

import (
	"fmt"
	"slices"
	"strings"
)

// Manual returns [Table], [ClusterTable], [EventsTable] and [ReachTable] as a table of Markdown.
func Manual() string {
	var b strings.Builder
	b.WriteString("| name | type | labels | unit | what it is |\n|---|---|---|---|---|\n")
	for _, m := range slices.Concat(Table, ClusterTable, EventsTable, ReachTable) {
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, strings.Join(labels, ", "), m.Unit, m.Help)
	}
	return b.String()
}
