import { domainToASCII } from 'node:url'
import { z } from 'zod'
import { byteSize, duration } from './units.ts'

/** Host names, as they are in parsed URLs; each stands for its subdomains too. */
const hosts = z.array(
  z
    .string()
    .transform(domainToASCII)
    .pipe(z.string().regex(/^[a-z0-9._-]{1,253}$/, "expected a host name such as 'example.org'")),
)

/** The section `url_previews`. */
export const urlPreviews = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether Hearth fetches pages that messages link to, so that clients can show a preview. The sites see the address of the server, not that of the user.',
      ),
    allow: hosts
      .prefault([])
      .describe('The only hosts whose pages are fetched, with their subdomains; empty: every public host.'),
    deny: hosts.prefault([]).describe('Hosts whose pages are never fetched, with their subdomains.'),
    allow_private_addresses: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether pages may be at private and loopback addresses. If true, every user can read from your network through previews: use it only for tests.',
      ),
    max_page_size: byteSize
      .prefault('1M')
      .describe('How much of a page is read, after decompression; the preview is made of that part.'),
    max_image_size: byteSize.prefault('10M').describe('The largest image of a preview; larger ones are left out.'),
    max_concurrent: z
      .int()
      .positive()
      .prefault(40)
      .describe('How many pages each process fetches concurrently. The images of these are held in memory.'),
    max_concurrent_per_user: z
      .int()
      .positive()
      .prefault(8)
      .describe('How many pages each process fetches concurrently for one user; further ones wait.'),
    timeout: duration.prefault('15s').describe('How long the fetch of a page with its image may take.'),
    cache_lifetime: duration.prefault('24h').describe('How long a preview is kept before the page is fetched again.'),
  })
  .prefault({})
  .describe('Previews of the pages that messages link to.')
