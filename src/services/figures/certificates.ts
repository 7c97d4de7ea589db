import type { App } from '../../app.ts'
import { stepAt, TIERS } from '../../core/figures/tiers.ts'
import { addressExpiry, fileExpiry } from '../../infra/http/certificate-expiry.ts'
import { storeServerStep } from './server-step.ts'

/** Adds to the figures when the certificates expire with which this process listens, as it has loaded them. */
export function watchListenerCertificates({ config, clock, metrics }: Pick<App, 'config' | 'clock' | 'metrics'>): void {
  const expiries = config.listeners.flatMap(({ tls }) => (tls ? (fileExpiry(tls.certificate) ?? []) : []))
  if (expiries.length === 0) return
  const first = Math.min(...expiries)
  metrics.measureForFigures(() => ({ listener_certificate_left: (first - clock.now()) / 1000 }))
}

/** Stores when the certificates of the public addresses expire, as far as they can be reached from here. */
export async function checkPublicCertificates(
  app: Pick<App, 'config' | 'serverName' | 'database' | 'clock' | 'stopping'>,
): Promise<void> {
  const addresses = [app.config.public_base_url, `https://${app.serverName}`].map((url) => new URL(url))
  const secure = addresses.filter(({ protocol, hostname }) => protocol === 'https:' && hostname !== 'localhost')
  const hosts = [...new Map(secure.map((url) => [url.host, url])).values()]
  const found = await Promise.all(
    hosts.map(({ hostname, port }) => addressExpiry(hostname, Number(port || 443), app.stopping)),
  )
  const expiries = found.filter((expiry) => expiry !== undefined)
  if (expiries.length === 0) return
  const now = app.clock.now()
  const values = { public_certificate_left: (Math.min(...expiries) - now) / 1000 }
  await app.database.write((tx) => storeServerStep(tx, stepAt(TIERS[0]!, now), values))
}
