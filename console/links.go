package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/console/client"
)

// Links are those of this tracker with others. All methods may be called concurrently.
// Errors wrap [ErrLinkUnknown], [ErrLinkInvalid] or [ErrLinkConflict] where whoever asked
// can do something about it, and have the words for it; all others are the tracker's. No
// error holds a line of an invitation, nor anything else that is secret.
type Links interface {
	// Show returns what there is now: the hub first, then the leaves by name. It costs
	// no more than a look at each link. Slices may be nil, and are the caller's.
	Show() client.Links

	// Invite makes an invitation for a leaf. Without addresses it has those of this
	// tracker.
	Invite(ctx context.Context, n client.NewInvitation) (client.Invitation, error)

	// Join makes this tracker the leaf of the hub that a line invites to, and keeps what
	// it needs for that. It does not wait until they are connected.
	Join(ctx context.Context, line string) (client.Link, error)

	// Leave ends the link with the hub for good, and forgets the peers that came by it.
	Leave(ctx context.Context) error

	// Drop ends the link with a leaf for good, or takes its invitation back, and forgets
	// the peers that came by it.
	Drop(ctx context.Context, name string) error

	// Reset ends the connection with a leaf or the hub, which begins anew and heals.
	Reset(ctx context.Context, name string) error

	// SetRights gives a leaf, invited or linked, other rights in place of all it has.
	SetRights(ctx context.Context, name string, r client.Rights) error

	// AnnounceLists returns where clients reach this tracker and all that it is linked
	// with, also through others, as tiers of BEP 12.
	AnnounceLists(ctx context.Context) ([][]string, error)
}

// Errors of [Links].
var (
	ErrLinkUnknown  = errors.New("there is no such link")          // as a name, or a hub where none was joined
	ErrLinkInvalid  = errors.New("this cannot be done with links") // a name, rights, addresses or a line that cannot be used
	ErrLinkConflict = errors.New("this is in the way of a link")   // a name that is taken, a hub that was joined, no address that is listened on
)

// hubName stands for the hub in the path of an operation, so no leaf has it.
const hubName = "hub"

// maxInvitationBody bounds rights in JSON, in bytes; most of them are info hashes.
const maxInvitationBody = 128 << 10

func (a *api) addLinks() {
	huma.Register(a.huma, operation(http.MethodGet, "/links", "list-links", "With which trackers this one is linked, and how that goes",
		http.StatusNotFound), a.listLinks)
	invite := linkOperation(http.MethodPost, "/links/invitations", "invite-link", "Invite a tracker to become a leaf of this one")
	invite.DefaultStatus = http.StatusCreated
	huma.Register(a.huma, invite, a.inviteLink)
	join := linkOperation(http.MethodPost, "/links/join", "join-link", "Become a leaf of the tracker that a line invites to")
	join.DefaultStatus = http.StatusCreated
	huma.Register(a.huma, join, a.joinLink)
	huma.Register(a.huma, operation(http.MethodDelete, "/links/"+hubName, "leave-link", "Leave the hub, and forget the peers that came by it",
		http.StatusNotFound, http.StatusConflict), a.leaveLink)
	huma.Register(a.huma, operation(http.MethodDelete, "/links/{name}", "drop-link", "Drop a leaf or its invitation, and forget the peers that came by it",
		http.StatusNotFound, http.StatusConflict), a.dropLink)
	huma.Register(a.huma, operation(http.MethodPost, "/links/{name}/reset", "reset-link", "Connect anew with a leaf or the hub, and compare what both know",
		http.StatusNotFound, http.StatusConflict), a.resetLink)
	huma.Register(a.huma, linkOperation(http.MethodPut, "/links/{name}/rights", "set-link-rights", "Give a leaf other rights in place of all that it has"), a.setLinkRights)
	huma.Register(a.huma, operation(http.MethodGet, "/links/announce-list", "get-announce-list", "Where clients reach this tracker and all it is linked with (BEP 12)",
		http.StatusNotFound), a.getAnnounceList)
}

// linkOperation is one that takes JSON of a link.
func linkOperation(method, path, id, summary string) huma.Operation {
	o := operation(method, path, id, summary, http.StatusNotFound, http.StatusConflict, http.StatusBadRequest, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	o.MaxBodyBytes = maxInvitationBody
	return o
}

// LinkNamed is a request for one link. It is exported as [ByHash] is.
type LinkNamed struct {
	Name string `path:"name" maxLength:"64" doc:"Of the other tracker."`
}

// errNoLinks is why there are none.
var errNoLinks = huma.Error404NotFound("links need the memory or SQLite store, and no cluster: " +
	"trackers with a store on a network share their peers by that, those of a cluster (waggle cluster) by the cluster")

func (a *api) listLinks(context.Context, *struct{}) (*answer[client.Links], error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	l := a.links.Show()
	l.Listening, l.Links, l.Invited = present(l.Listening), present(l.Links), present(l.Invited)
	for i := range l.Links {
		l.Links[i] = complete(l.Links[i])
	}
	for i := range l.Invited {
		l.Invited[i].At = l.Invited[i].At.UTC()
	}
	return &answer[client.Links]{l}, nil
}

// present returns a list that JSON has as one where it is nil.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func complete(l client.Link) client.Link {
	l.AnnounceURLs = present(l.AnnounceURLs)
	l.Since = l.Since.UTC()
	return l
}

type inviteRequest struct{ Body client.NewInvitation }

func (a *api) inviteLink(ctx context.Context, in *inviteRequest) (*answer[client.Invitation], error) {
	noteTarget(ctx, in.Body.Name)
	noteDetail(ctx, rightsInWords(&in.Body.Rights))
	if a.links == nil {
		return nil, errNoLinks
	}
	if in.Body.Name == hubName {
		return nil, huma.Error422UnprocessableEntity("no leaf can have the name hub, which stands for the tracker that this one joined: choose another",
			&huma.ErrorDetail{Location: "body.name", Message: "this is not a name for a leaf", Value: in.Body.Name})
	}
	if err := checkRights(&in.Body.Rights, "body.rights"); err != nil {
		return nil, err
	}
	made, err := a.links.Invite(ctx, in.Body)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.Invitation]{made}, nil
}

type joinRequest struct{ Body client.NewHub }

func (a *api) joinLink(ctx context.Context, in *joinRequest) (*answer[client.Link], error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	joined, err := a.links.Join(ctx, strings.TrimSpace(in.Body.Line))
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	noteTarget(ctx, joined.Name)
	return &answer[client.Link]{complete(joined)}, nil
}

func (a *api) leaveLink(ctx context.Context, _ *struct{}) (*struct{}, error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	noteTarget(ctx, a.links.Show().Hub)
	return nil, a.linkDone(ctx, a.links.Leave(ctx))
}

func (a *api) dropLink(ctx context.Context, in *LinkNamed) (*struct{}, error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	return nil, a.linkDone(ctx, a.links.Drop(ctx, in.Name))
}

func (a *api) resetLink(ctx context.Context, in *LinkNamed) (*struct{}, error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	return nil, a.linkDone(ctx, a.links.Reset(ctx, in.Name))
}

type setRightsRequest struct {
	LinkNamed
	Body client.Rights
}

func (a *api) setLinkRights(ctx context.Context, in *setRightsRequest) (*struct{}, error) {
	noteDetail(ctx, rightsInWords(&in.Body))
	if a.links == nil {
		return nil, errNoLinks
	}
	if err := checkRights(&in.Body, "body"); err != nil {
		return nil, err
	}
	return nil, a.linkDone(ctx, a.links.SetRights(ctx, in.Name, in.Body))
}

func (a *api) getAnnounceList(ctx context.Context, _ *struct{}) (*answer[client.AnnounceList], error) {
	if a.links == nil {
		return nil, errNoLinks
	}
	tiers, err := a.links.AnnounceLists(ctx)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.AnnounceList]{client.AnnounceList{Tiers: present(tiers)}}, nil
}

// linkDone returns the problem of an error, or nil.
func (a *api) linkDone(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.failed(ctx, err)
}

// checkRights refuses rights that mean nothing, and says at which place of the body. It
// writes info hashes as links have them.
func checkRights(r *client.Rights, at string) error {
	if !r.Receive && !r.Send {
		return huma.Error422UnprocessableEntity("a leaf that may neither receive nor send has no use: allow one of them, or both",
			&huma.ErrorDetail{Location: at, Message: "neither receive nor send"})
	}
	for i, text := range r.Torrents {
		h, err := bittorrent.ParseInfoHash(text)
		if err != nil {
			return huma.Error422UnprocessableEntity("rights name torrents by their info hashes, of 40 hexadecimal digits",
				&huma.ErrorDetail{Location: at + ".torrents[" + strconv.Itoa(i) + "]", Message: "this is no info hash", Value: text})
		}
		r.Torrents[i] = h.String()
	}
	return nil
}

// rightsInWords says for the audit log what a leaf may do.
func rightsInWords(r *client.Rights) string {
	parts := make([]string, 0, 5)
	for _, p := range []struct {
		is   bool
		text string
	}{
		{r.Receive && !r.Send, "receive only"},
		{r.Send && !r.Receive, "send only"},
		{r.Receive && r.Send, "receive and send"},
		{len(r.Torrents) > 0, fmt.Sprintf("torrents: %d", len(r.Torrents))},
		{r.Share != "" && r.Share != client.ShareOff, "share " + r.Share},
		{r.Peers > 0, fmt.Sprintf("peers: %d", r.Peers)},
		{r.ChangesPerSecond > 0, fmt.Sprintf("changes a second: %d", r.ChangesPerSecond)},
	} {
		if p.is {
			parts = append(parts, p.text)
		}
	}
	return strings.Join(parts, ", ")
}
