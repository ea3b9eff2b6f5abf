package web

import (
	"net/http"

	"waggle/account"
	"waggle/console/client"
)

// pages returns all pages, without their templates.
func (s *Site) pages() []*page {
	return []*page{
		{
			pattern: "/{$}", name: "overview", section: "/", load: s.overview, blocks: []string{"figures", "details"},
			scripts: []string{"vendor/uplot.iife.min.js", "charts.js"}, styles: []string{"vendor/uplot.min.css"},
		},
		{pattern: "/torrents", name: "torrents", section: "/torrents", load: s.torrents, blocks: []string{"list"}},
		{
			pattern: "/transfers/{hash}", name: "transfer", section: "/torrents", load: s.transfer, scripts: []string{"rackmap.js", "racks.js"},
			blocks: []string{"now", "actions", "line", "places", "peers"},
		},
		{pattern: "/transfers/{hash}/delete", name: "delete", section: "/torrents", load: s.deleteTorrent},
		{pattern: "/transfers/{hash}/peers/{address}", name: "peer", section: "/torrents", load: s.peer, blocks: []string{"explanation"}},
		{pattern: "/peers", name: "peers", section: "/peers", load: s.peers, blocks: []string{"peers"}},
		{pattern: "/history", name: "history", section: "/history", load: s.history},
		{pattern: "/passkeys", name: "passkeys", section: "/passkeys", load: s.passkeys, blocks: []string{"passkeys"}},
		{pattern: "/passkeys/{id}", name: "passkey", section: "/passkeys", load: s.passkey, blocks: []string{"counted"}},
		{pattern: "/passkeys/{id}/revoke", name: "unlink", section: "/passkeys", load: s.passkeyActionPage(client.RevokePasskey)},
		{pattern: "/passkeys/{id}/restore", name: "unlink", section: "/passkeys", load: s.passkeyActionPage(client.RestorePasskey)},
		{pattern: "/passkeys/{id}/renew", name: "unlink", section: "/passkeys", load: s.passkeyActionPage(client.RenewPasskey)},
		{pattern: "/passkeys/{id}/reset", name: "unlink", section: "/passkeys", load: s.passkeyActionPage(client.ResetPasskey)},
		{pattern: "/passkeys/{id}/delete", name: "unlink", section: "/passkeys", load: s.deletePasskeyPage},
		{pattern: "/links", name: "links", section: "/links", load: s.links, blocks: []string{"links"}},
		{pattern: linkRightsPath, name: "rights", section: "/links", load: s.linkRightsPage},
		{pattern: dropLinkPath, name: "unlink", section: "/links", load: s.dropLinkPage},
		{pattern: leaveLinkPath, name: "unlink", section: "/links", load: s.leaveLinkPage},
		{pattern: "/cluster", name: "cluster", section: "/cluster", load: s.cluster, blocks: []string{"cluster"}},
		{pattern: stepDownPath, name: "unlink", section: "/cluster", load: s.stepDownPage},
		{pattern: leaveClusterPath, name: "unlink", section: "/cluster", load: s.leaveClusterPage},
		{pattern: "/settings", name: "settings", section: "/settings", load: s.settings},
		{pattern: "/settings/accounts", name: "accounts", section: "/settings", load: s.accounts},
		{pattern: editAccountPath, name: "account", section: "/settings", load: s.editAccountPage},
		{pattern: deleteAccountPath, name: "delete", section: "/settings", load: s.deleteAccount},
		{pattern: "/settings/audit", name: "audit", section: "/settings", load: s.audit},
		{pattern: "/about", name: "about", section: "/about", load: s.about},
		{pattern: "/login", name: "login", load: s.logInPage, alone: true},
	}
}

// changes are the forms that change something, by the pattern of their path.
func (s *Site) changes() map[string]change {
	return map[string]change{
		"/transfers/{hash}/activate":   s.activate,
		"/transfers/{hash}/deactivate": s.deactivate,
		"/transfers/{hash}/profile":    s.setProfile,
		"/transfers/{hash}/delete":     s.forget,
		deleteAccountPath:              s.removeAccount,
		"/passkeys/{id}":               s.editPasskey,
		"/passkeys/{id}/revoke":        s.actOnPasskey(client.RevokePasskey),
		"/passkeys/{id}/restore":       s.actOnPasskey(client.RestorePasskey),
		"/passkeys/{id}/renew":         s.actOnPasskey(client.RenewPasskey),
		"/passkeys/{id}/reset":         s.actOnPasskey(client.ResetPasskey),
		"/passkeys/{id}/delete":        s.deletePasskey,
		"/links/join":                  s.joinLink,
		"/links/reset":                 s.resetLink,
		dropLinkPath:                   s.dropLink,
		leaveLinkPath:                  s.leaveLink,
		stepDownPath:                   s.stepDown,
		leaveClusterPath:               s.leaveCluster,
	}
}

// uPlotVersion is that of the files in static/vendor, and of package.json.
const uPlotVersion = "1.6.32"

func (s *Site) about(*http.Request) (view, error) {
	return view{"About", struct{ UPlot string }{uPlotVersion}}, nil
}

// role returns the role of whoever looks at a page.
func role(r *http.Request) account.Role { return account.From(r.Context()).Role }
