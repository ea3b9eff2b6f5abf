"""A libtorrent client for waggle's laboratory.

    libtorrent_client.py TORRENT DIRECTORY LISTEN

fetches, then seeds, until it is killed. Peers come from the tracker alone, over
TCP. Each half second it prints how many bytes it lacks.
"""

import sys

import libtorrent as lt

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
}

torrent, directory, listen = sys.argv[1:]
no_plugins = 0  # PEX is one
session = lt.session({**SETTINGS, "listen_interfaces": listen}, no_plugins)
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": directory})
while True:
    session.wait_for_alert(500)
    session.pop_alerts()
    status = handle.status()
    print(status.total_wanted - status.total_wanted_done, flush=True)
