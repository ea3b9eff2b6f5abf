"""One libtorrent client with one torrent, for waggle's interop tests.

    libtorrent_client.py run TORRENT DIRECTORY LISTEN   seeds or fetches until SIGTERM
    libtorrent_client.py hash TORRENT                   prints the info hash

It seeds what DIRECTORY already holds and fetches what is missing. Peers come
from the tracker alone: DHT, LSD, PEX, UPnP and NAT-PMP are off. What happens is
printed as JSON, one object a line.
"""

import json
import signal
import sys
import time

import libtorrent as lt

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.status_notification
    | lt.alert.category_t.tracker_notification
    | lt.alert.category_t.error_notification,
}


def tell(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def report(alert):
    if isinstance(alert, lt.tracker_reply_alert):
        tell("tracker_reply", url=alert.tracker_url(), peers=alert.num_peers)
    elif isinstance(alert, lt.tracker_error_alert):
        tell("tracker_error", url=alert.tracker_url(), message=alert.message())
    elif isinstance(alert, lt.torrent_finished_alert):
        tell("finished")
    elif isinstance(alert, (lt.listen_failed_alert, lt.torrent_error_alert)):
        tell("error", message=alert.message())


def report_until(session, over):
    """Reports alerts until over(alerts) says so."""
    while True:
        session.wait_for_alert(200)
        alerts = session.pop_alerts()
        for alert in alerts:
            report(alert)
        if over(alerts):
            return


def run(torrent, directory, listen):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

    no_plugins = 0  # PEX is one
    session = lt.session({**SETTINGS, "listen_interfaces": listen}, no_plugins)
    handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": directory})
    report_until(session, lambda _: stopping)

    # A session that ends closes its UDP sockets before it has told the tracker,
    # so leave the swarm first.
    handle.unset_flags(lt.torrent_flags.auto_managed)
    handle.pause()
    deadline = time.monotonic() + 5
    told = (lt.tracker_reply_alert, lt.tracker_error_alert)
    report_until(session, lambda alerts: any(isinstance(a, told) for a in alerts) or time.monotonic() > deadline)


if __name__ == "__main__":
    if sys.argv[1] == "hash":
        print(lt.torrent_info(sys.argv[2]).info_hash())
    else:
        run(*sys.argv[2:])
