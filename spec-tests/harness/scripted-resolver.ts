import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A name server that says what attackers' name servers say. */
export type ScriptedResolver = {
  /** Arguments for node that make a Hearth use only this resolver. */
  nodeArguments: string[]
  /** Returns how often a name was resolved to this machine. */
  rebound(name: string): number
  stop(): Promise<void>
}

/** Unassigned: the registries have not allocated its network. */
const ELSEWHERE = '2d000000000000000000000000000001'
/** Unassigned too, but connections to it lead to this machine, so that tests have sites at a public address. */
const SITE = '2d000000000000000000000000000002'
const HERE = { 1: '7f000001', 28: '00000000000000000000000000000001' } as const
const HEADER_BYTES = 12

/**
 * Starts a name server on a free local port, whose answers have TTL 0:
 * - `*.rebinding.test`: first a public address, then this machine.
 * - `*.public.test`: a public address at which the services of this machine are.
 * - `*.moving.test`: first that public address, then this machine.
 * - `a-7f000001.answer.test`: the addresses in its labels, in hexadecimal after `a-` and `aaaa-`.
 */
export async function startScriptedResolver(): Promise<ScriptedResolver> {
  const asked = new Map<string, number>()
  const rebound = new Map<string, number>()
  const socket = createSocket('udp4')

  /** Returns the address for a query, as hexadecimal digits; undefined: none of that type. */
  function addressFor(name: string, type: number): string | undefined {
    if (type !== 1 && type !== 28) return undefined
    if (name.endsWith('.public.test')) return type === 28 ? SITE : undefined
    if (name.endsWith('.answer.test')) return addressIn(name, type === 28 ? 'aaaa' : 'a')
    const first = name.endsWith('.moving.test') ? SITE : ELSEWHERE
    if (first === ELSEWHERE && !name.endsWith('.rebinding.test')) return undefined
    const key = `${name} ${type}`
    const before = asked.get(key) ?? 0
    asked.set(key, before + 1)
    if (before === 0) return type === 28 ? first : undefined
    rebound.set(name, (rebound.get(name) ?? 0) + 1)
    return HERE[type]
  }

  socket.on('message', (query, { address, port }) => {
    const { name, type, end } = questionOf(query)
    const data = addressFor(name, type)
    const question = query.subarray(HEADER_BYTES, end)
    const header = Buffer.alloc(HEADER_BYTES)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(data === undefined ? 0 : 1, 6)
    socket.send(
      Buffer.concat([header, question, data === undefined ? Buffer.alloc(0) : record(type, data)]),
      port,
      address,
    )
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'hearth-resolver-'))
  return {
    nodeArguments: ['--import', preload(folder, socket.address().port)],
    rebound: (name) => rebound.get(name) ?? 0,
    async stop() {
      await new Promise<void>((resolve) => socket.close(resolve))
      rmSync(folder, { recursive: true })
    },
  }
}

function addressIn(name: string, prefix: string): string | undefined {
  return name.match(new RegExp(`(?:^|\\.)${prefix}-([0-9a-f]+)\\.`))?.[1]
}

/**
 * Writes a module that makes node's resolvers use another port than that of the system's name servers, and takes
 * connections to the address of sites to this machine.
 */
function preload(folder: string, port: number): string {
  const file = join(folder, 'resolver.mjs')
  writeFileSync(
    file,
    `import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
const { Resolver } = dns.promises
dns.promises.Resolver = class extends Resolver {
  constructor(options) {
    super(options)
    this.setServers(['127.0.0.1:${port}'])
  }
}
const { connect } = net.Socket.prototype
const moved = (each) => (each.address === '2d00::2' ? { address: '127.0.0.1', family: 4 } : each)
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0]
  const lookup = options?.lookup
  if (lookup)
    options.lookup = (name, wanted, found) =>
      lookup(name, wanted, (error, address, family) => {
        if (error || Array.isArray(address)) found(error, error ? address : address.map(moved), family)
        else ((to) => found(null, to.address, to.family))(moved({ address, family }))
      })
  return connect.apply(this, args)
}
syncBuiltinESMExports()
`,
  )
  return file
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = HEADER_BYTES
  while (query[at]! > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    at += 1 + query[at]!
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** Returns a record for the queried name that must not be cached. */
function record(type: number, data: string): Buffer {
  const head = Buffer.from(`c00c${type.toString(16).padStart(4, '0')}000100000000`, 'hex')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(data.length / 2)
  return Buffer.concat([head, length, Buffer.from(data, 'hex')])
}
