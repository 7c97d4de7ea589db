import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { connect } from 'node:tls'

const TIMEOUT_MS = 10_000

/** Returns when the certificate in a PEM file expires, in milliseconds since 1970; undefined if there is none. */
export function fileExpiry(file: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(readFileSync(file)).validTo)
  } catch {
    return undefined
  }
}

/**
 * Returns when the certificate of a public address expires, in milliseconds since 1970, whether or not it is valid;
 * undefined if the address cannot be reached from here.
 */
export function addressExpiry(host: string, port: number, signal: AbortSignal): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const name = isIP(host) === 0 ? { servername: host } : {}
  // Only the date is read: clients and other servers decide themselves whether they trust it.
  const socket = connect({ host, port, ...name, rejectUnauthorized: false, timeout: TIMEOUT_MS }, () => {
    const expires = Date.parse(socket.getPeerCertificate().valid_to)
    resolve(Number.isNaN(expires) ? undefined : expires)
    socket.destroy()
  })
  const stop = () => socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  socket.on('timeout', stop)
  socket.on('error', () => resolve(undefined))
  socket.on('close', () => {
    signal.removeEventListener('abort', stop)
    resolve(undefined)
  })
  return promise
}
