import { describe, expect, test } from 'vitest'
import { readPageMetadata } from './page-metadata.ts'
import { previewOfPage } from './page-preview.ts'
import { pageText } from './page-text.ts'

const PAGE = new URL('https://site.example/dir/page?q=1')
const LONG = 'A paragraph that is long enough to say what the page is about.'

function preview(html: string) {
  const { tags, images, oembed, refresh } = previewOfPage(readPageMetadata(html), PAGE)
  return { tags, images: images.map(String), oembed: oembed?.href, refresh: refresh?.href }
}

const og = (name: string, content: string) => `<meta property="og:${name}" content="${content}">`
const json = (value: unknown) => `<script type="application/ld+json">${JSON.stringify(value)}</script>`
const title = (text: string | undefined) => ({ 'og:title': text })

type Shape = [what: string, html: string, tags: Record<string, string | undefined>]

const TAGS: Shape[] = [
  ['nothing', '', {}],
  ['no tags at all', 'only text', {}],
  ['a title alone', '<title>A</title>', title('A')],
  ['an empty title', '<title> </title>', title(undefined)],
  ['a title over lines', '<title>\n  A \t B\n</title>', title('A B')],
  ['a title with entities', '<title>A &amp; B &#x3c;b&#62;</title>', title('A & B <b>')],
  ['two titles', '<title>A</title><title>B</title>', title('A')],
  ['the title of a drawing first', '<svg><title>icon</title></svg><title>A</title>', title('A')],
  ['a title that is not closed', '<title>A', title('A')],
  ['a title in capitals', '<TITLE>A</TITLE>', title('A')],
  ['Open Graph before the title', `<title>A</title>${og('title', 'B')}`, title('B')],
  ['Open Graph under name', '<meta name="og:title" content="B">', title('B')],
  ['Open Graph in capitals', '<META PROPERTY="OG:TITLE" CONTENT="B">', title('B')],
  ['Open Graph twice', og('title', 'A') + og('title', 'B'), title('A')],
  ['Open Graph first without content', og('title', '') + og('title', 'B'), title('B')],
  ['Open Graph without quotes', '<meta property=og:title content=B>', title('B')],
  ['Open Graph in the body', `<body><div>${og('title', 'B')}</div>`, title('B')],
  ['Open Graph after a broken tag', `<div <p><<meta>${og('title', 'B')}`, {}],
  ['a meta element without content', '<meta property="og:title">', title(undefined)],
  ['a comment with tags', `<!-- ${og('title', 'B')} --><title>A</title>`, title('A')],
  ['a script with tags', `<script>"<title>B</title>"</script><title>A</title>`, title('A')],
  ['a style with tags', '<style><title>B</title></style><title>A</title>', title('A')],
  ['a Twitter card', '<meta name="twitter:title" content="T"><title>A</title>', title('T')],
  ['Open Graph before Twitter', `<meta name="twitter:title" content="T">${og('title', 'B')}`, title('B')],
  ['a heading alone', '<h1>Head <b>line</b></h1>', title('Head line')],
  ['a title in HTML as text', '<title>&lt;script&gt;</title>', title('<script>')],
  ['a title with control characters', '<title>A\u0001\u202eB</title>', title('A B')],
  ['a huge title', `<title>${'x'.repeat(100_000)}</title>`, title(`${'x'.repeat(299)}…`)],
  ['a title of wide characters', `<title>${'🐔'.repeat(1000)}</title>`, title(`${'🐔'.repeat(299)}…`)],
  ['a description', '<meta name="description" content="D">', { 'og:description': 'D' }],
  [
    'Open Graph before the description',
    `<meta name="description" content="D">${og('description', 'O')}`,
    { 'og:description': 'O' },
  ],
  ['a Twitter description', '<meta name="twitter:description" content="T">', { 'og:description': 'T' }],
  ['a paragraph', `<p>short</p><p>${LONG}</p>`, { 'og:description': LONG }],
  ['a paragraph of the navigation', `<nav><p>${LONG}</p></nav>`, { 'og:description': undefined }],
  ['a consent wall', `<dialog><p>Cookies! ${LONG}</p></dialog><p>${LONG}</p>`, { 'og:description': LONG }],
  [
    'a consent wall of its own',
    `<div class="x cookie-wall"><p>Cookies! ${LONG}</p></div><p>${LONG}</p>`,
    { 'og:description': LONG },
  ],
  [
    'a section of cookies',
    `<section id="gdpr"><div><p>We use ${LONG}</p></div></section><p>${LONG}</p>`,
    { 'og:description': LONG },
  ],
  ['a paragraph with a script', `<p><script>var x = "${LONG}"</script></p><p>${LONG}</p>`, { 'og:description': LONG }],
  [
    'a paragraph with a style and a button',
    `<p>${LONG}<style>p { margin: 0 }</style><button>Buy</button></p>`,
    { 'og:description': LONG },
  ],
  ['a heading in the page header', '<header><h1>Site<svg><title>logo</title></svg></h1></header>', title('Site')],
  [
    'a body after enough tags',
    `${og('title', 'A') + og('description', 'B') + og('image', '/i')}<body>${og('type', 'x')}`,
    { 'og:type': undefined },
  ],
  ['a page for browsers without scripts', `<noscript><p>${LONG}</p></noscript>`, { 'og:description': undefined }],
  ['nested frames', `<iframe><p>${LONG}</p><title>F</title></iframe><title>A</title>`, title('A')],
  ['a frameset', '<title>A</title><frameset><frame src="a"></frameset>', title('A')],
  ['the name of the site', og('site_name', 'S'), { 'og:site_name': 'S' }],
  ['the name of the application', '<meta name="application-name" content="S">', { 'og:site_name': 'S' }],
  ['a type and a locale', og('type', 'article') + og('locale', 'de'), { 'og:type': 'article', 'og:locale': 'de' }],
  ['a video', og('video', 'https://v.example/1'), { 'og:video': 'https://v.example/1' }],
  ['an image is no tag', og('image', '/a.png') + og('image:width', '5'), { 'og:image': undefined }],
  ['the description of the image', og('image:alt', 'cat'), { 'og:image:alt': 'cat' }],
  [
    'a size that the page claims',
    '<meta property="matrix:image:size" content="1">',
    { 'matrix:image:size': undefined },
  ],
  ['JSON-LD', json({ '@type': 'Article', headline: 'J' }), title('J')],
  [
    'JSON-LD in a list',
    json([
      { '@type': 'WebSite', name: 'W' },
      { '@type': 'Product', name: 'J' },
    ]),
    title('J'),
  ],
  ['JSON-LD in a graph', json({ '@graph': [{ '@type': 'NewsArticle', headline: 'J' }] }), title('J')],
  ['JSON-LD that is no JSON', `<script type="application/ld+json">{</script><title>A</title>`, title('A')],
  ['JSON-LD of wrong types', json({ '@type': 'Article', headline: 5, name: ['x'] }), title(undefined)],
  ['JSON-LD with null', json(null), title(undefined)],
  [
    'a description of JSON-LD',
    json({ '@type': 'Article', headline: 'J', description: 'D' }),
    { 'og:description': 'D' },
  ],
  ['deep JSON-LD', `<script type="application/ld+json">${'['.repeat(50_000)}</script><title>A</title>`, title('A')],
  ['a huge head', `<head>${'<meta name=x content=y>'.repeat(20_000)}<title>A</title>`, title('A')],
  ['too many tags', Array.from({ length: 500 }, (_, n) => og(`x${n}`, 'v')).join(''), { 'og:x499': undefined }],
  ['a feed', '<?xml version="1.0"?><rss><channel><title>F</title></channel></rss>', title('F')],
  ['an attribute that is none', `<meta property="__proto__" content="x">${og('title', 'A')}`, title('A')],
]

describe('tags', () => {
  test.each(TAGS)('%s', (_, html, tags) => {
    const found = preview(html).tags
    for (const [name, value] of Object.entries(tags)) expect(found[name], name).toBe(value)
    expect(Object.keys(found).length).toBeLessThanOrEqual(60)
  })
})

const IMAGES: [what: string, html: string, images: string[]][] = [
  ['of Open Graph', og('image', 'https://i.example/a.png'), ['https://i.example/a.png']],
  ['relative to the page', og('image', 'a.png'), ['https://site.example/dir/a.png']],
  ['relative to the base', `<base href="/b/">${og('image', 'a.png')}`, ['https://site.example/b/a.png']],
  ['without a scheme', og('image', '//i.example/a.png'), ['https://i.example/a.png']],
  [
    'the secure one first',
    og('image', 'http://i.example/a') + og('image:secure_url', 'https://i.example/a'),
    ['https://i.example/a', 'http://i.example/a'],
  ],
  ['of a Twitter card', '<meta name="twitter:image" content="/t.png">', ['https://site.example/t.png']],
  ['of JSON-LD', json({ '@type': 'Article', name: 'x', image: [{ url: '/j.png' }] }), ['https://site.example/j.png']],
  ['of a link', '<link rel="image_src" href="/l.png">', ['https://site.example/l.png']],
  ['of the body', '<body><img src="/b.png">', ['https://site.example/b.png']],
  ['that count visitors', '<img src="/p.gif" width="1" height="1"><img src="/b.png">', ['https://site.example/b.png']],
  ['of the page header', '<header><img src="/logo.png"></header>', []],
  ['as data', `${og('image', 'data:image/png;base64,AA')}<img src="data:image/gif;base64,AA">`, []],
  ['as script', og('image', 'javascript:alert(1)'), []],
  ['in files', og('image', 'file:///etc/passwd'), []],
  ['with credentials', og('image', 'https://a:b@i.example/'), []],
  ['of no place', og('image', 'http://'), []],
  [
    'at most three',
    [1, 2, 3, 4, 5].map((n) => `<img src="/${n}">`).join(''),
    [1, 2, 3].map((n) => `https://site.example/${n}`),
  ],
  ['a touch icon last', '<link rel="apple-touch-icon" href="/i.png">', ['https://site.example/i.png']],
]

test.each(IMAGES)('images %s', (_, html, images) => {
  expect(preview(html).images).toEqual(images)
})

test('many long tags are left out beyond a total', () => {
  const tags = Array.from({ length: 50 }, (_, n) => og(`x${n}`, `${n}`.repeat(1000))).join('')
  const found = preview(`${tags}${og('title', 'A')}`).tags
  expect(found['og:title']).toBe('A')
  expect(JSON.stringify(found).length).toBeLessThan(12_000)
})

test('oEmbed is discovered by a link in JSON, or else in XML', () => {
  const link = (type: string, href: string) => `<link rel="alternate" type="${type}" href="${href}">`
  const [xml, json] = [link('text/xml+oembed', '/x'), link('application/json+oembed', '/j')]
  expect(preview(xml + json).oembed).toBe('https://site.example/j')
  expect(preview(xml).oembed).toBe('https://site.example/x')
  expect(preview(link('application/json', '/j')).oembed).toBeUndefined()
})

test('a refresh does not count for browsers without scripts, or in a page with tags', () => {
  const refresh = '<meta http-equiv="refresh" content="0;url=/new">'
  expect(preview(`<noscript>${refresh}</noscript>`).refresh).toBeUndefined()
  expect(preview(og('title', 'A') + refresh).refresh).toBeUndefined()
  expect(preview(`<title>Moved</title>${refresh}`).refresh).toBe('https://site.example/new')
})

test('a feed has the title of its channel', () => {
  const rss = '<?xml version="1.0"?><rss><channel><title><![CDATA[News & more]]></title><item><title>1</title></item>'
  expect(previewOfPage(readPageMetadata(rss, true), PAGE).tags).toEqual(title('News & more'))
})

test('a refresh counts only without a delay, and to the web', () => {
  const refresh = (content: string) => preview(`<meta http-equiv="Refresh" content="${content}">`).refresh
  expect(refresh('0; url=/new')).toBe('https://site.example/new')
  expect(refresh("0;URL='/new'")).toBe('https://site.example/new')
  expect(refresh('300; url=/new')).toBeUndefined()
  expect(refresh('0; url=javascript:alert(1)')).toBeUndefined()
  expect(refresh('30')).toBeUndefined()
})

const latin = (text: string) => Buffer.from(text, 'latin1')
const CHARSETS: [what: string, body: Buffer, type: string | undefined][] = [
  ['UTF-8 without a word', Buffer.from('Größe'), 'text/html'],
  ['UTF-8 by the header', Buffer.from('Größe'), 'text/html; charset="utf-8"'],
  ['Latin-1 by the header', latin('Größe'), 'text/html; charset=iso-8859-1'],
  ['Latin-1 by a meta element', latin('<meta charset=latin1>Größe'), 'text/html'],
  ['Latin-1 by http-equiv', latin('<meta http-equiv=x content="text/html; charset=iso-8859-1">Größe'), undefined],
  ['Latin-1 without a word', latin('Größe'), undefined],
  ['a byte order mark against the header', Buffer.from('\ufeffGröße'), 'text/html; charset=latin1'],
  ['UTF-16', Buffer.from('\ufeffGröße', 'utf16le'), undefined],
  ['UTF-16 that a meta element claims', Buffer.from('<meta charset=utf-16>Größe'), undefined],
  ['Latin-1 that the header says is UTF-8', latin('Größe'), 'text/html; charset=utf-8'],
  ['Latin-1 that only its meta element knows', latin('<meta charset=latin1>Größe'), 'text/html; charset=utf-8'],
  ['Latin-1 that a meta element says is UTF-8', latin('<meta charset="utf-8">Größe'), 'text/html'],
  ['UTF-8 with one broken character', Buffer.concat([Buffer.from('Größe ö ü '), Buffer.from([0xff])]), undefined],
  ['an empty charset', Buffer.from('Größe'), 'text/html; charset='],
  ['an unknown set', Buffer.from('Größe'), 'text/html; charset=klingon'],
  ['XML', latin('<?xml version="1.0" encoding="ISO-8859-1"?>Größe'), undefined],
  ['a page that ends within a character', Buffer.from('Größe ö').subarray(0, -1), undefined],
]

test.each(CHARSETS)('character sets: %s', (_, body, type) => {
  expect(pageText(body, type)).toContain('Größe')
})

test('Shift-JIS is decoded', () => {
  expect(pageText(Buffer.from([0x93, 0xfa, 0x96, 0x7b]), 'text/html; charset=shift_jis')).toBe('日本')
})

test('a page that is nested without an end is read in little time', () => {
  const hostile = [
    '<a>'.repeat(300_000),
    `${'<a>'.repeat(150_000)}${'</b>'.repeat(120_000)}`,
    '<div '.repeat(200_000),
    `<p>${'<!--'.repeat(250_000)}`,
    `<meta ${'a=b '.repeat(250_000)}>`,
    `<meta content="${'charset'.repeat(140_000)}`,
    '&'.repeat(1_000_000),
  ]
  for (const html of hostile) {
    const start = performance.now()
    preview(pageText(Buffer.from(html), undefined))
    expect(performance.now() - start, html.slice(0, 20)).toBeLessThan(2000)
  }
})
