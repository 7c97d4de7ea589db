import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Agent } from 'undici'
import { createTrust } from '../../infra/http/trusted-connections.ts'
import { createScan } from '../../infra/media/scanner.ts'
import { type Check, good, problem } from './finding.ts'

const PROBE = Buffer.from('a harmless file of hearth doctor\n')

/** Has the scanner of media, if one is configured, scan a small harmless file. */
export const checkScanner: Check = async ({ media: { scanner }, federation }) => {
  const place = scanner.clamd ?? scanner.url
  if (place === undefined) return []
  const connect = { secureContext: createTrust(federation.trusted_certificates)() }
  const agent = new Agent({ connect } as Agent.Options)
  const sha256 = createHash('sha256').update(PROBE).digest('base64url')
  try {
    const found = await createScan(
      scanner,
      agent,
    )?.({ open: async () => Readable.from([PROBE]), size: PROBE.length, sha256 })
    if (found === undefined) return [good(`The scanner at ${place} scans files`)]
    return [problem(`The scanner at ${place} finds ${found} in a harmless file`, 'Look into its configuration.')]
  } catch (error) {
    const fix = 'Start it, or correct media.scanner. docs/media.md describes both kinds of scanners.'
    return [problem(`The scanner at ${place} does not scan files: ${(error as Error).message}`, fix)]
  } finally {
    await agent.close()
  }
}
