import { deflateSync } from 'node:zlib'
import { parse as parseDisposition } from 'content-disposition'
import sharp from 'sharp'
import { expect } from 'vitest'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'

const DOWNLOAD = '/_matrix/client/v1/media/download'
const THUMBNAIL = '/_matrix/client/v1/media/thumbnail'
const SIZE = '?width=32&height=32'

type File = { body: Buffer | string; type?: string; query?: string }

const asAlice = ({ alice }: HostileWorld) => ({ Authorization: `Bearer ${alice.accessToken}` })

/** Uploads a file as Alice, and returns `server/mediaId`. */
async function upload(world: HostileWorld, { body, type, query = '' }: File): Promise<string> {
  const response = await fetch(`${world.url}/_matrix/media/v3/upload${query}`, {
    method: 'POST',
    headers: { ...asAlice(world), ...(type !== undefined && { 'Content-Type': type }) },
    body: new Uint8Array(Buffer.from(body)),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

function get(world: HostileWorld, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(world.url + path, { headers: { ...asAlice(world), ...headers } })
}

/** Asserts that a response cannot run scripts in the server's origin. */
function expectHarmless({ headers }: Response): void {
  expect(headers.get('content-security-policy')).toMatch(/^sandbox;.*script-src 'none'/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('x-injected')).toBeNull()
  expect(headers.get('set-cookie')).toBeNull()
}

/** Returns a row about a file with a claimed type, and how it is served. */
function typed(name: string, file: File & { body: string | Buffer }, served: { type: string; shown: boolean }): Attack {
  return {
    name: `a type: ${name}`,
    async attempt(world) {
      const response = await get(world, `${DOWNLOAD}/${await upload(world, file)}`)
      expectHarmless(response)
      expect(response.headers.get('content-type')).toBe(served.type)
      expect(response.headers.get('content-disposition')).toMatch(served.shown ? /^inline/ : /^attachment/)
      expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from(file.body))
    },
  }
}

/** Returns a row about an invalid or excessive image: its thumbnail is refused, and the file itself is served. */
function picture(name: string, make: () => Promise<Buffer> | Buffer, statuses: readonly number[] = [400, 413]): Attack {
  return {
    name: `a picture: ${name}`,
    async attempt(world) {
      const id = await upload(world, { body: await make(), type: 'image/png' })
      for (const query of [SIZE, `${SIZE}&method=crop`, `${SIZE}&animated=true`]) {
        const response = await get(world, `${THUMBNAIL}/${id}${query}`)
        expect(statuses, await response.text()).toContain(response.status)
      }
      expect((await get(world, `${DOWNLOAD}/${id}`)).status).toBe(200)
    },
  }
}

const OCTETS = 'application/octet-stream'
const HTML = '<!DOCTYPE html><html><body><script>alert(document.domain)</script></body></html>'
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
const ENTITIES = Array.from({ length: 12 }, (_, at) => `<!ENTITY e${at + 1} "${`&e${at};`.repeat(10)}">`).join('')
const SVG_BOMB = `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e0 "x">${ENTITIES}]><svg xmlns="http://www.w3.org/2000/svg"><text>&e12;</text></svg>`

const image = (format: 'png' | 'gif' | 'jpeg' | 'webp' | 'avif' | 'tiff') =>
  sharp({ create: { width: 200, height: 200, channels: 3, background: 'red' } })
    .toFormat(format)
    .toBuffer()
/** The beginning of an image, which has its size but not all of its pixels. */
const cut = (format: Parameters<typeof image>[0], share: number) => async () => {
  const whole = await image(format)
  return whole.subarray(0, Math.floor(whole.length * share))
}

const TYPES: Attack[] = [
  typed('HTML as a picture', { body: HTML, type: 'image/png' }, { type: OCTETS, shown: false }),
  typed('HTML as itself', { body: HTML, type: 'text/html' }, { type: 'text/html', shown: false }),
  typed('HTML as text', { body: HTML, type: 'text/plain' }, { type: 'text/plain', shown: true }),
  typed('XHTML', { body: HTML, type: 'application/xhtml+xml' }, { type: 'application/xhtml+xml', shown: false }),
  typed('a script', { body: 'alert(1)', type: 'text/javascript' }, { type: 'text/javascript', shown: false }),
  typed('SVG with a script', { body: SVG, type: 'image/svg+xml' }, { type: 'image/svg+xml', shown: false }),
  typed('SVG as a PNG', { body: SVG, type: 'image/png' }, { type: OCTETS, shown: false }),
  typed('SVG as XML', { body: `<?xml version="1.0"?>${SVG}`, type: 'text/xml' }, { type: 'text/xml', shown: false }),
  typed('SVG with entities', { body: SVG_BOMB, type: 'image/svg+xml' }, { type: 'image/svg+xml', shown: false }),
  typed(
    'an archive as SVG',
    { body: Buffer.from('PK\x03\x04'.padEnd(64, '\0')), type: 'image/svg+xml' },
    { type: OCTETS, shown: false },
  ),
  typed(
    'a GIF that is a script too',
    { body: `GIF89a/*${'\0'.repeat(8)}*/=1;alert(1)`, type: 'text/javascript' },
    { type: 'text/javascript', shown: false },
  ),
  typed('a GIF that is HTML too', { body: `GIF89a${HTML}`, type: 'text/html' }, { type: 'text/html', shown: false }),
  typed('PDF', { body: '%PDF-1.7 /JavaScript', type: 'application/pdf' }, { type: 'application/pdf', shown: false }),
  typed('no type', { body: HTML }, { type: OCTETS, shown: false }),
  typed('two types', { body: HTML, type: 'image/png, text/html' }, { type: OCTETS, shown: false }),
  typed(
    'a type with another behind it',
    { body: HTML, type: 'text/html;text/plain' },
    { type: 'text/html', shown: false },
  ),
]

const PICTURES: Attack[] = [
  picture('an SVG with entities', () => Buffer.from(SVG_BOMB)),
  picture('HTML', () => Buffer.from(HTML)),
  picture('nothing but the first bytes of a PNG', cut('png', 0.1), [200, 400]),
  picture('the first half of a JPEG', cut('jpeg', 0.5), [200, 400]),
  picture('the first half of a GIF', cut('gif', 0.5), [200, 400]),
  picture('the first half of a WebP', cut('webp', 0.5), [200, 400]),
  picture('the first half of an AVIF', cut('avif', 0.5), [200, 400]),
  picture('a TIFF', () => image('tiff')),
  picture('the first half of a TIFF', cut('tiff', 0.5)),
  picture('a PNG of 100,000 by 100,000 without data', () => png(100_000, 100_000, Buffer.alloc(0))),
  picture('a PNG of no width', () => png(0, 100, Buffer.alloc(0))),
  picture('a PNG with all of 200 million pixels', () => png(20_000, 10_000, Buffer.alloc(10_000 * 2501))),
  picture('a GIF of 65,535 by 65,535', () =>
    Buffer.from(`GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;`, 'latin1'),
  ),
  picture('an AVIF whose boxes say that they are larger than they are', async () => {
    const whole = await image('avif')
    whole.fill(0xff, 28, 60)
    return whole
  }),
  picture('a WebP whose chunks say that they are larger than they are', async () => {
    const whole = await image('webp')
    whole.fill(0xff, 16, 20)
    return whole
  }, [200, 400]),
]

/** Returns an image of one bit per pixel. */
function png(width: number, height: number, data: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 1
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(data)), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...chunks])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc(named))
  return Buffer.concat([length, named, sum])
}

function crc(bytes: Buffer): number {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  }
  return ~value >>> 0
}

const NAMES = [
  '../../etc/passwd',
  '..\\..\\windows\\win.ini',
  'a\r\nX-Injected: 1\r\n\r\n<b>',
  'a"; filename="b.html',
  '\u202egnp.exe',
  'a\0b.html',
  '.',
  '..',
  'x'.repeat(5000),
  '%0d%0aX-Injected:%201',
]

const NAMED: Attack[] = [
  {
    name: 'file names of an upload that leave the folder, or the header',
    async attempt(world) {
      for (const name of NAMES) {
        const id = await upload(world, { body: 'x', query: `?filename=${encodeURIComponent(name)}` })
        const response = await get(world, `${DOWNLOAD}/${id}`)
        expectHarmless(response)
        const { type, parameters } = parseDisposition(response.headers.get('content-disposition')!)
        expect(type).toBe('attachment')
        for (const key of Object.keys(parameters)) expect(['filename', 'filename*']).toContain(key)
        expect(parameters.filename ?? '').not.toMatch(/[/\\\p{Cc}]|^\.+$/u)
      }
    },
  },
  {
    name: 'file names of a download that leave the folder, or the header',
    async attempt(world) {
      const id = await upload(world, { body: 'x' })
      for (const name of NAMES) {
        const response = await get(world, `${DOWNLOAD}/${id}/${encodeURIComponent(name)}`)
        expect(response.status).toBeLessThan(500)
        if (response.status === 200) expectHarmless(response)
      }
    },
  },
  {
    name: 'media ids and servers that lead elsewhere',
    async attempt(world) {
      const { serverName } = world.home
      const ids = [
        '..%2f..%2f..%2fetc%2fpasswd',
        '%2e%2e%2f%2e%2e',
        '%00',
        'a%00',
        'x'.repeat(300),
        '%ff',
        'a.b',
        '..%5c..',
      ]
      const servers = ['..%2f..', 'localhost%2f..', '127.0.0.1%3A1%40x', '%00', 'x'.repeat(300), '..', '%2f']
      const paths = [...ids.map((id) => `${serverName}/${id}`), ...servers.map((server) => `${server}/abc`)]
      for (const path of paths.flatMap((each) => [`${DOWNLOAD}/${each}`, `${THUMBNAIL}/${each}${SIZE}`]))
        expect([400, 404], path).toContain((await get(world, path)).status)
    },
  },
  {
    name: 'ranges that overlap, end before they begin, or do not end',
    async attempt(world) {
      const id = await upload(world, { body: 'x'.repeat(1000), type: 'text/plain' })
      const many = Array.from({ length: 1500 }, () => '0-').join()
      const ranges = [
        many,
        '0-18446744073709551616',
        '999999999999999999999-',
        '5-2',
        '-0',
        '--1',
        '-',
        'a-b',
        '0-0,5-5',
        '-99999999999',
      ]
      for (const range of ranges) {
        const response = await get(world, `${DOWNLOAD}/${id}`, { Range: `bytes=${range}`, 'If-None-Match': '"' })
        expect([200, 206, 416], range.slice(0, 50)).toContain(response.status)
        expect((await response.text()).length).toBeLessThanOrEqual(1000)
      }
    },
  },
  {
    name: 'sizes of thumbnails that nothing has',
    async attempt(world) {
      const id = await upload(world, { body: await image('png'), type: 'image/png' })
      for (const size of ['0', '-1', '99999999999999999999', 'a', '1.5', '%00', ''])
        expect((await get(world, `${THUMBNAIL}/${id}?width=${size}&height=${size}`)).status, size).toBe(400)
      const largest = Number.MAX_SAFE_INTEGER
      expect((await get(world, `${THUMBNAIL}/${id}?width=${largest}&height=${largest}&method=crop`)).status).toBe(200)
    },
  },
]

const liars = new WeakMap<HostileWorld, Promise<LyingServer>>()

/** Requests a file of a hostile server as Alice. */
async function remote(world: HostileWorld, id: string, content: string, contentType: string): Promise<Response> {
  const liar = liars.get(world) ?? startLyingServer(world.federation)
  liars.set(world, liar)
  const { lie, serverName } = await liar
  lie('media', () => ({ contentType, content: Buffer.from(content, 'latin1') }))
  return get(world, `${DOWNLOAD}/${serverName}/${id}`)
}

const MIXED = 'multipart/mixed; boundary=b'
const parts = (headers: string, body: string) =>
  `--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n${headers}\r\n\r\n${body}\r\n--b--\r\n`

const OF_PEERS: Attack[] = [
  {
    name: 'a file of a peer: HTML as a picture, with headers of its own',
    async attempt(world) {
      const headers = `Content-Type: image/png\r\nContent-Disposition: inline; filename="../x.html"\r\nX-Injected: 1\r\nSet-Cookie: a=b`
      const response = await remote(world, 'lying', parts(headers, HTML), MIXED)
      expectHarmless(response)
      expect([response.status, response.headers.get('content-type')]).toEqual([200, OCTETS])
      expect(response.headers.get('content-disposition')).toBe('attachment; filename=x.html')
    },
  },
  {
    name: 'a file of a peer: a type and a name that are none',
    async attempt(world) {
      const headers = 'Content-Type: text/html\t;\x01\r\nContent-Disposition: ;;;filename=\x7f"'
      const response = await remote(world, 'odd', parts(headers, HTML), MIXED)
      expectHarmless(response)
      expect(response.headers.get('content-disposition')).toMatch(/^attachment/)
    },
  },
  {
    name: 'a file of a peer: nothing, no parts, parts without an end, and a place on this machine',
    async attempt(world) {
      const answers: [string, string][] = [
        ['', MIXED],
        ['no parts', MIXED],
        [parts('Content-Type: text/plain', 'x').slice(0, -20), MIXED],
        [parts('Content-Type: text/plain', 'x'), 'multipart/mixed'],
        [parts('Content-Type: text/plain', 'x'), `multipart/mixed; boundary=${'b'.repeat(500)}`],
        [parts(`X: ${'x'.repeat(200_000)}`, 'x'), MIXED],
        [parts('Location: file:///etc/passwd', ''), MIXED],
        [parts('Location: http://127.0.0.1:1/', ''), MIXED],
        [parts('Location: //', ''), MIXED],
      ]
      for (const [place, [content, type]] of answers.entries())
        expect([404, 502], `answer ${place}`).toContain((await remote(world, `bad-${place}`, content, type)).status)
    },
  },
]

describeAttacks('media', [...TYPES, ...PICTURES, ...NAMED, ...OF_PEERS])
