// One client of npm's bittorrent-tracker over WebSocket, for waggle's interop tests: what
// WebTorrent has in every browser. Its peers are stand-ins, which make offers and answers of
// the usual size and never connect; webtorrent/client.mjs has real ones.
//
//   node browser.mjs URL INFO_HASH PEER_ID
//
// Each line of standard input is one request, as for announce.mjs. What happens is printed,
// a line of JSON each:
//
//   {"event": "update", "complete": .., "incomplete": .., "interval": ..}    a reply
//   {"event": "scrape", "complete": .., "incomplete": .., "downloaded": ..}  a reply
//   {"event": "peer", "id": ..}                 has sent an offer, or answered one
//   {"event": "warning", "message": ..}

import { EventEmitter } from 'node:events'
import { createInterface } from 'node:readline'
import { Client } from 'bittorrent-tracker'
import WebSocketTracker from 'bittorrent-tracker/websocket-tracker'

// After the end of a connection the client waits ten seconds, and up to five minutes more
// by chance. There is no chance here.
Math.random = () => 0

const tell = (event, what) => console.log(JSON.stringify({ event, ...what }))

// All that JSON writes in more than one way has to come through.
const sdp = (type) => `v=0\r\n${type} "\\/\b\f\t\u0001\u007f\u00e9\u2028\u{1f41d}` + 'a=candidate:1 1 udp 2122260223 192.0.2.2 52807 typ host\r\n'.repeat(12)

class Peer extends EventEmitter {
  constructor ({ initiator } = {}) {
    super()
    if (initiator) setImmediate(() => this.emit('signal', { type: 'offer', sdp: sdp('offer') }))
  }

  signal (signal) {
    if (signal.sdp !== sdp(signal.type)) tell('warning', { message: `harmed on its way: ${JSON.stringify(signal)}` })
    if (signal.type === 'offer') setImmediate(() => this.emit('signal', { type: 'answer', sdp: sdp('answer') }))
  }

  destroy () {}
}
WebSocketTracker.prototype._createPeer = (options) => new Peer(options)

const [announce, infoHash, peerId] = process.argv.slice(2)
let left = 0
const client = new Client({
  announce,
  infoHash,
  peerId,
  port: 1,
  getAnnounceOpts: () => ({ left }) // also when it announces by itself, connected again
})
client.on('update', ({ complete, incomplete, interval }) => tell('update', { complete, incomplete, interval }))
client.on('scrape', ({ complete, incomplete, downloaded }) => tell('scrape', { complete, incomplete, downloaded }))
client.on('warning', (err) => tell('warning', { message: err.message }))
client.on('error', (err) => tell('warning', { message: err.message }))
client.on('peer', (peer) => tell('peer', { id: peer.id }))

const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  const { do: request, ...options } = JSON.parse(line)
  left = options.left
  client[request](options)
})
input.on('close', () => client.destroy(() => process.exit(0)))
