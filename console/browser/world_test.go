package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

// world is a closed tracker with something of everything that pages show.
type world struct {
	*tracker
	file     bittorrent.InfoHash // an active torrent with peers in three racks
	retired  bittorrent.InfoHash // one that was deactivated, and is asked for all the same
	hostile  bittorrent.InfoHash // one whose name and whose peer's id are HTML
	unlisted bittorrent.InfoHash // one that clients announce and that is in no catalogue
	importer string              // address of a peer of file
	passkey  string              // id of one
}

// theWorld is the one that tests share. What they change of it is what they added.
var theWorld = sync.OnceValues(func() (*world, error) {
	dir := filepath.Join(scratch, "world")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	topology := "127.0.0.0/24,office\n127.0.1.0/24,r01\n127.0.2.0/24,r02\n127.0.3.0/24,r03\n"
	if err := os.WriteFile(filepath.Join(dir, "topology.csv"), []byte(topology), 0o600); err != nil {
		return nil, err
	}
	tr, err := run(dir, append([]string{
		"--store", "memory:", "--locality-sources", "subnets: topology.csv", "--console-public", "true",
		"--access-passkeys", "optional", "--announce-interval", "1m", "--announce-min-interval", "1s", "--locality-passive-interval", "1m", "--locality-active-interval", "1s",
	}, withToken...)...)
	if err != nil {
		return nil, err
	}
	atEnd(tr.close)
	w := &world{tracker: tr}
	return w, w.fill(context.Background())
})

func shared(t *testing.T) *world {
	t.Helper()
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Accounts of the world; all have the same password.
const (
	admin    = "anna"
	operator = "otto"
	viewer   = "vera"
)

func (w *world) fill(ctx context.Context) error {
	for name, role := range map[string]string{admin: "admin", operator: "operator", viewer: "viewer", hostileName: "viewer"} {
		if err := w.account(ctx, name, role); err != nil {
			return err
		}
	}
	var err error
	for i := range 55 { // more than fit on a page
		_, failed := w.add(ctx, fmt.Sprintf("build-%03d.tar.zst", i), int64(i+1)<<20)
		err = errors.Join(err, failed)
	}
	for _, add := range []struct {
		to   *bittorrent.InfoHash
		name string
	}{{&w.file, "image.iso"}, {&w.retired, "retired.img"}, {&w.hostile, hostileName}} {
		var failed error
		*add.to, failed = w.add(ctx, add.name, fileSize)
		err = errors.Join(err, failed)
	}
	_, failed := w.api.Deactivate(ctx, w.retired)
	made, keyless := w.api.CreatePasskeys(ctx, []client.NewPasskey{{Name: "anna", Note: "of the third floor"}, {Name: hostileName}})
	if keyless == nil {
		w.passkey = made[0].ID
	}
	return errors.Join(err, failed, keyless, w.populate(ctx), w.announceOthers(ctx))
}

const fileSize = 512 << 20

// populate lets 30 peers in three racks announce: those of the first are complete, those
// of the last have nothing.
func (w *world) populate(ctx context.Context) error {
	ids := []string{"-qB4520-", "-TR3000-", "-LT2080-", "-DE13A0-"}
	for host := range 10 {
		for rack := range 3 {
			p := peer{
				at:   fmt.Sprintf("127.0.%d.%d:6881", rack+1, host+1),
				id:   fmt.Sprintf("%s%04d%08d", ids[(host+rack)%len(ids)], rack, host),
				left: fileSize, event: bittorrent.EventStarted,
			}
			switch rack {
			case 0:
				p.left, p.event = 0, bittorrent.EventCompleted
			case 1:
				p.left = fileSize / 10 * int64(10-host)
			}
			p.downloaded = fileSize - p.left
			p.uploaded = p.downloaded / 2
			if err := w.tell(ctx, w.file, p); err != nil {
				return err
			}
		}
	}
	w.importer = "127.0.2.1:6881"
	return nil
}

// announceOthers lets peers announce what is not listed or not active, and one whose id
// is HTML.
func (w *world) announceOthers(ctx context.Context) error {
	w.unlisted = bittorrent.InfoHash([]byte("not in any catalogue"))
	return errors.Join(
		w.tell(ctx, w.unlisted, peer{at: "127.0.3.77:6881", id: "-UT3550-abcdefghijkl", left: 1000, event: bittorrent.EventStarted}),
		w.tell(ctx, w.retired, peer{at: "127.0.3.78:6881", id: "-UT3550-abcdefghijkl", left: 1000, event: bittorrent.EventStarted}),
		w.tell(ctx, w.hostile, peer{at: "127.0.3.66:6881", id: hostileID, left: 1000, event: bittorrent.EventStarted}),
		w.tell(ctx, w.hostile, peer{at: "127.0.2.66:6881", id: hostileID, event: bittorrent.EventCompleted}),
	)
}

// pages are the paths of all pages, for an admin.
func (w *world) pages() []string {
	transfer := "/transfers/" + w.file.String()
	return []string{
		"/", "/?span=day", "/torrents", "/torrents?query=build&sort=size&order=desc", "/torrents?query=nothing+is+called+so",
		transfer, "/transfers/" + w.retired.String(), "/transfers/" + w.hostile.String(), "/transfers/" + w.unlisted.String(),
		transfer + "/delete", transfer + "/peers/" + w.importer, "/peers", "/peers?address=127.0.0.0/8", "/history", "/links", "/cluster",
		"/passkeys", "/passkeys/" + w.passkey, "/passkeys/" + w.passkey + "/revoke", "/passkeys/" + w.passkey + "/delete",
		"/settings", "/settings/accounts", "/settings/accounts/edit?name=" + viewer, "/settings/accounts/delete?name=" + viewer, "/settings/audit", "/about", "/login", "/nowhere",
	}
}

// nowhere is the path of a page that there is not, so that its status is 404.
func nowhere(path string) bool { return path == "/nowhere" }

// until asks the API for a transfer until it is as wanted.
func (w *world) until(t *testing.T, h bittorrent.InfoHash, what string, is func(client.Transfer) bool) {
	t.Helper()
	eventually(t, what, func() error {
		got, err := w.api.Transfer(t.Context(), h)
		if err == nil && !is(got) {
			err = fmt.Errorf("it is %+v", got)
		}
		return err
	})
}

// publicURL is that of the page for strangers.
func (w *world) publicURL() string { return strings.TrimSuffix(w.announce, "/announce") + "/" }
