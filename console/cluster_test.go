package console_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console"
	"waggle/console/client"
)

// instances is a cluster, which remembers what it was asked to do.
type instances struct {
	asked []string
	fail  error
}

func (c *instances) Show() client.Cluster {
	return client.Cluster{
		Role: client.ClusterMaster, ID: "6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000000", Address: "192.0.2.1:40000", Master: "192.0.2.1:40000",
		Group: "239.192.0.69:6968", PeersGroup: "239.192.0.69:6969", Serving: true, Peers: 3, Rows: 4,
		Members: []client.ClusterMember{
			{IP: "192.0.2.2", Port: 40001, ID: "6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000001", Role: client.ClusterSlave, Keepalive: 0.5, State: "copied to", Sequence: 6, Lag: 0.002},
			{IP: "2001:db8::1", Port: 40002, Role: client.ClusterNewcomer, Keepalive: 0.1, State: "joining"},
		},
		Totals: client.ClusterTotals{Committed: 7, Commit: 0.001},
	}
}

func (c *instances) StepDown(context.Context) error {
	c.asked = append(c.asked, "step down")
	return c.fail
}

func (c *instances) Leave(context.Context) error {
	c.asked = append(c.asked, "leave")
	return c.fail
}

func TestClusterIsShownAsItIs(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Cluster = new(instances) })
	got := decode[client.Cluster](t, w.do(t, get("/api/v1/cluster")))
	if want := new(instances).Show(); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTrackerInNoClusterSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(t, "")
	_, err := c.Cluster(t.Context())
	for what, err := range map[string]error{"it": err, "stepping down": c.StepDown(t.Context()), "leaving": c.LeaveCluster(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "set cluster.group") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := w.do(t, get("/api/v1/cluster")); got.status != http.StatusNotFound {
		t.Errorf("status %d", got.status)
	}
}

func TestClusterIsChangedByThoseWhoMayAndWrittenDown(t *testing.T) {
	for path, want := range map[string][2]string{"/cluster/stepdown": {"step down", "step-down"}, "/cluster/leave": {"leave", "leave-cluster"}} {
		in := new(instances)
		_, accounts, tokens := linked(t, nil)
		w := newWorld(t, func(o *console.Options) { o.Cluster, o.Accounts = in, accounts })
		ask := func(token string) *response {
			t.Helper()
			q := request{method: http.MethodPost, path: "/api/v1" + path, header: map[string]string{}}
			if token != "" {
				q.header["Authorization"] = "Bearer " + token
			}
			return w.do(t, q)
		}
		if got := ask(tokens[account.Viewer]); got.status != http.StatusForbidden {
			t.Errorf("%s by a viewer: status %d", path, got.status)
		}
		if got := ask(""); got.status != http.StatusUnauthorized || len(in.asked) != 0 {
			t.Errorf("%s by nobody: status %d, asked %q", path, got.status, in.asked)
		}
		if got := ask(tokens[account.Operator]); got.status != http.StatusNoContent || len(in.asked) != 1 || in.asked[0] != want[0] {
			t.Errorf("%s: status %d, asked %q", path, got.status, in.asked)
		}
		entries, _, err := accounts.Audit(t.Context(), 0, 1)
		if err != nil || entries[0].What != want[1] || entries[0].Target != "192.0.2.1:40000" || entries[0].Outcome != account.Done {
			t.Errorf("%+v, %v", entries, err)
		}
		in.fail = fmt.Errorf("so it is (%w)", console.ErrClusterConflict)
		if got := ask(tokens[account.Operator]); got.status != http.StatusConflict || !strings.Contains(got.problem(t).Detail, "so it is") {
			t.Errorf("%s: status %d, %s", path, got.status, got.body)
		}
	}
}
