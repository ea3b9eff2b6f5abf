package locality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultKubernetesPath is the zone of a node.
	DefaultKubernetesPath = "{topology.kubernetes.io/zone}"

	// DefaultKubernetesInterval is how often nodes are listed.
	DefaultKubernetesInterval = time.Minute

	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

	nodesAPage   = 500
	maxPage      = 64 << 20 // bytes
	maxNodes     = 100_000
	maxListing   = 30 * time.Second // how long listing all nodes may take
	maxFirstWait = 2 * time.Second  // for the first listing
)

// KubernetesOptions say which nodes a Kubernetes source lists.
type KubernetesOptions struct {
	// Path is a Template of labels of a node, as in
	// {topology.kubernetes.io/zone}/{example.com/rack}. A node that lacks one is not known.
	// Default: DefaultKubernetesPath.
	Path string

	// URL is the API server's. Default: that of the cluster around the process, with the token and
	// certificates of the pod's service account.
	URL string

	TokenFile string        // has the token to show; it is read for each listing
	CAFile    string        // has the certificates of the API server, in PEM; default: those of the system
	Interval  time.Duration // how often nodes are listed; default: DefaultKubernetesInterval

	Now func() time.Time // default: time.Now
}

// Kubernetes is a Table of the nodes of a cluster: their addresses and podCIDRs are where their
// labels say. It needs the right to list nodes.
type Kubernetes struct {
	tree  *Tree
	o     KubernetesOptions
	path  Template
	web   *web
	state atomic.Pointer[kubernetesState]

	listed  chan struct{} // closed after the first listing
	cancel  context.CancelFunc
	running sync.WaitGroup
}

type kubernetesState struct {
	prefixes *prefixes
	nodes    []string // their names; a placed.note is an index
	listed   time.Time
	err      error
}

// OpenKubernetes begins to list nodes, until Close. It waits for the first listing, until ctx ends
// or two seconds at most: if that has failed or takes longer, the nodes are known later. It fails
// on options that cannot be.
func OpenKubernetes(ctx context.Context, tree *Tree, o KubernetesOptions) (*Kubernetes, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	path, err := parseTemplate("kubernetes: path", o.Path)
	if err != nil {
		return nil, err
	}
	if err := path.checkDepth(tree); err != nil {
		return nil, fmt.Errorf("kubernetes: path: %w", err)
	}
	web, err := newWeb(o.TokenFile, o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	return watchNodes(ctx, tree, o, path, web), nil
}

// watchNodes begins to list nodes.
func watchNodes(ctx context.Context, tree *Tree, o KubernetesOptions, path Template, web *web) *Kubernetes {
	k := &Kubernetes{tree: tree, o: o, path: path, web: web, listed: make(chan struct{})}
	k.state.Store(&kubernetesState{err: errors.New("kubernetes: the nodes are not listed yet")})
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	k.running.Go(func() { k.watch(life) })
	wait := time.NewTimer(maxFirstWait)
	defer wait.Stop()
	select {
	case <-k.listed:
	case <-wait.C:
	case <-ctx.Done():
	}
	return k
}

// complete fills in defaults.
func (o *KubernetesOptions) complete() error {
	if o.Path == "" {
		o.Path = DefaultKubernetesPath
	}
	setDefault(&o.Interval, DefaultKubernetesInterval)
	if o.Interval < 0 {
		return errors.New("interval is negative")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("url: %s is no URL such as https://10.96.0.1:443", quote(o.URL))
		}
		return nil
	}
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return errors.New("there is no cluster around this process; set url")
	}
	o.URL = "https://" + net.JoinHostPort(host, port)
	if o.TokenFile == "" {
		o.TokenFile = serviceAccount + "token"
	}
	if o.CAFile == "" {
		o.CAFile = serviceAccount + "ca.crt"
	}
	return nil
}

// watch lists nodes now and then.
func (k *Kubernetes) watch(ctx context.Context) {
	again := time.NewTicker(k.o.Interval)
	defer again.Stop()
	for first := true; ; first = false {
		k.refresh(ctx)
		if first {
			close(k.listed)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// refresh lists nodes once. If that fails, the nodes from before stay.
func (k *Kubernetes) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxListing)
	defer cancel()
	fresh := &kubernetesState{prefixes: new(prefixes), listed: k.o.Now()}
	if err := k.list(ctx, fresh); err != nil {
		kept := *k.state.Load()
		kept.err = fmt.Errorf("kubernetes: %w", err)
		fresh = &kept
	}
	k.state.Store(fresh)
}

// list fills a state with all nodes, a page at a time.
func (k *Kubernetes) list(ctx context.Context, state *kubernetesState) error {
	next := ""
	for range maxNodes / nodesAPage {
		address := fmt.Sprintf("%s/api/v1/nodes?limit=%d", strings.TrimRight(k.o.URL, "/"), nodesAPage)
		if next != "" {
			address += "&continue=" + url.QueryEscape(next)
		}
		body, err := k.web.get(ctx, address, maxPage)
		if errors.Is(err, errNotFound) {
			return fmt.Errorf("%s has no nodes; is this the URL of an API server?", withoutSecrets(k.o.URL))
		}
		if err != nil {
			return err
		}
		page, err := parseNodes(body)
		if err != nil {
			return err
		}
		for i := range page.Items {
			k.add(state, &page.Items[i])
		}
		if next = page.Metadata.Continue; next == "" {
			return nil
		}
	}
	return fmt.Errorf("the cluster has more than %d pages of nodes", maxNodes/nodesAPage)
}

// node is what is read of a node.
type node struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR  string   `json:"podCIDR"`
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"addresses"`
	} `json:"status"`
}

// nodeList is a page of nodes.
type nodeList struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []node `json:"items"`
}

func parseNodes(body []byte) (*nodeList, error) {
	list := new(nodeList)
	if err := json.Unmarshal(body, list); err != nil {
		return nil, fmt.Errorf("the answer is no list of nodes: %w", err)
	}
	if list.Kind != "NodeList" {
		return nil, fmt.Errorf("the answer is of kind %s, and not a NodeList", quote(list.Kind))
	}
	return list, nil
}

// add puts the networks of a node where its labels say. A node whose labels are no location is left
// out, and said to be wrong.
func (k *Kubernetes) add(state *kubernetesState, n *node) {
	path, err := k.path.Fill(func(label string) (string, error) { return n.Metadata.Labels[label], nil })
	if path == "" && err == nil {
		return
	}
	group, err := k.tree.Group(path)
	if err != nil {
		state.err = fmt.Errorf("kubernetes: node %s: %w", quote(n.Metadata.Name), err)
		return
	}
	note := int32(len(state.nodes))
	state.nodes = append(state.nodes, n.Metadata.Name)
	for _, network := range n.networks() {
		if other, taken := state.prefixes.table.Get(network); taken {
			if other.note != note {
				state.err = fmt.Errorf("kubernetes: nodes %s and %s both have %v; the first counts",
					quote(state.nodes[other.note]), quote(n.Metadata.Name), network)
			}
			continue
		}
		state.prefixes.table.Insert(network, placed{group, note})
	}
}

// networks are the addresses of a node, and those of its pods.
func (n *node) networks() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && (a.Type == "InternalIP" || a.Type == "ExternalIP") {
			ip = plain(ip)
			all = append(all, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	for _, cidr := range append([]string{n.Spec.PodCIDR}, n.Spec.PodCIDRs...) {
		if network, err := netip.ParsePrefix(cidr); err == nil {
			all = append(all, network.Masked())
		}
	}
	return all
}

// String is "kubernetes" and the URL.
func (k *Kubernetes) String() string { return "kubernetes " + withoutSecrets(k.o.URL) }

// Locate is the path of an address. It waits for the first listing, if that is still under way.
func (k *Kubernetes) Locate(ctx context.Context, ip netip.Addr) (string, error) {
	select {
	case <-k.listed:
		return pathOf(k.Group(ip)), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Group is the group of an address, or nil.
func (k *Kubernetes) Group(ip netip.Addr) *Group {
	found, _ := k.state.Load().prefixes.find(ip)
	return found.group
}

// Why is the node that an address belongs to, and by which network.
func (k *Kubernetes) Why(ip netip.Addr) string {
	state := k.state.Load()
	found, ok := state.prefixes.find(ip)
	if !ok {
		return ""
	}
	return fmt.Sprintf("node %s: %v", state.nodes[found.note], state.prefixes.network(ip))
}

// Dated is when the nodes were listed, and what is wrong with them, or why they could not be listed
// again.
func (k *Kubernetes) Dated() (time.Time, error) {
	state := k.state.Load()
	return state.listed, state.err
}

// Close ends listing.
func (k *Kubernetes) Close() error {
	k.cancel()
	k.running.Wait()
	k.web.close()
	return nil
}
