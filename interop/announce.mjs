// One client of npm's bittorrent-tracker, for waggle's interop tests.
//
//   node announce.mjs URL INFO_HASH PEER_ID PORT
//
// Each line of standard input is one request, such as
//
//   {"do": "start", "left": 100}
//
// with start, update, complete, stop or scrape to do. The answer is printed as
// one line of JSON; an answer that the client does not like is {"warning": ..}.

import { createInterface } from 'node:readline'
import { Client } from 'bittorrent-tracker'

const [announce, infoHash, peerId, port] = process.argv.slice(2)
const client = new Client({ announce, infoHash, peerId, port: Number(port) })

const tell = (what) => console.log(JSON.stringify(what))

// The peers of an answer are emitted right after it, in the same turn.
let peers = []
client.on('peer', (peer) => peers.push(peer))
client.on('update', ({ complete, incomplete, interval }) => {
  peers = []
  setImmediate(() => tell({ complete, incomplete, interval, peers }))
})
client.on('scrape', ({ complete, incomplete, downloaded }) => tell({ complete, incomplete, downloaded }))
client.on('warning', (err) => tell({ warning: err.message }))
client.on('error', (err) => tell({ warning: err.message }))

const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  const { do: request, ...options } = JSON.parse(line)
  client[request](options)
})
input.on('close', () => client.destroy(() => process.exit(0)))
