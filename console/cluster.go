package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waggle/console/client"
)

// Cluster is that of which this tracker is an instance. All methods may be called
// concurrently. Errors wrap [ErrClusterConflict] where whoever asked can do something about
// it, and have the words for it; all others are the tracker's.
type Cluster interface {
	// Show returns what there is now. It does not wait. Members may be nil, and are the
	// caller's.
	Show() client.Cluster

	// StepDown has this instance, which is master, give its place to another.
	StepDown(ctx context.Context) error

	// Leave has this instance leave the cluster until it is started again. Once is enough,
	// and more do no harm.
	Leave(ctx context.Context) error
}

// ErrClusterConflict is the error of a [Cluster] that is not as it would have to be for what was
// asked.
var ErrClusterConflict = errors.New("the cluster is not so that this could be done")

func (a *api) addCluster() {
	huma.Register(a.huma, operation(http.MethodGet, "/cluster", "get-cluster", "The cluster of which this tracker is an instance, and how that goes",
		http.StatusNotFound), a.getCluster)
	huma.Register(a.huma, operation(http.MethodPost, "/cluster/stepdown", "step-down", "Have this instance, which is master, give its place to another",
		http.StatusNotFound, http.StatusConflict), a.stepDown)
	huma.Register(a.huma, operation(http.MethodPost, "/cluster/leave", "leave-cluster", "Have this instance leave the cluster until it is started again",
		http.StatusNotFound, http.StatusConflict), a.leaveCluster)
}

// errNoCluster is why there is none.
var errNoCluster = huma.Error404NotFound("this tracker is in no cluster: set cluster.group and cluster.secret_file")

func (a *api) getCluster(context.Context, *struct{}) (*answer[client.Cluster], error) {
	if a.cluster == nil {
		return nil, errNoCluster
	}
	c := a.cluster.Show()
	c.Members = present(c.Members)
	return &answer[client.Cluster]{c}, nil
}

func (a *api) stepDown(ctx context.Context, _ *struct{}) (*struct{}, error) {
	if a.cluster == nil {
		return nil, errNoCluster
	}
	noteTarget(ctx, a.cluster.Show().Address)
	return nil, a.clusterDone(ctx, a.cluster.StepDown(ctx))
}

func (a *api) leaveCluster(ctx context.Context, _ *struct{}) (*struct{}, error) {
	if a.cluster == nil {
		return nil, errNoCluster
	}
	noteTarget(ctx, a.cluster.Show().Address)
	return nil, a.clusterDone(ctx, a.cluster.Leave(ctx))
}

// clusterDone returns the problem of an error, or nil.
func (a *api) clusterDone(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.failed(ctx, err)
}
