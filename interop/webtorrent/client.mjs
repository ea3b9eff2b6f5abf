// WebTorrent in Node, for waggle's interop tests: seeds what a directory holds of a torrent,
// and fetches what is missing, over WebRTC alone.
//
//   node client.mjs TORRENT DIRECTORY
//
// SIGTERM has it leave the swarm and end.

import { readFileSync } from 'node:fs'
import WebTorrent from 'webtorrent'

const [torrentFile, path] = process.argv.slice(2)
const client = new WebTorrent({
  dht: false,
  lsd: false,
  utPex: false,
  natUpnp: false,
  natPmp: false,
  utp: false,
  tracker: { rtcConfig: { iceServers: [] } } // no server of STUN: nothing leaves the test's network
})
const end = (err) => {
  if (err) console.error(err)
  client.destroy(() => process.exit(err ? 1 : 0))
}
client.on('error', end)
process.on('SIGTERM', () => end())

const torrent = client.add(readFileSync(torrentFile), { path })
torrent.on('warning', (err) => console.error(err.message))
torrent.on('wire', (wire) => console.log(JSON.stringify({ event: 'peer', kind: wire.type })))
torrent.on('done', () => console.log(JSON.stringify({ event: 'done' })))
