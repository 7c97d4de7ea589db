import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AdminWorld, adminPaths, createAdminWorld, untilFigures } from '../harness/admin-world.ts'
import { faultsOf } from '../harness/page-faults.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

/** The pages for administrators. With `SCREENSHOTS=folder`, a screenshot of each is stored there. */
let world: AdminWorld
beforeAll(async () => {
  world = await createAdminWorld()
})
afterAll(() => world?.dispose())

type View = BrowserContextOptions & { name: string; language: string }
const VIEWS: readonly View[] = [
  {
    name: 'phone, plain, dark',
    viewport: { width: 320, height: 640 },
    ...{ javaScriptEnabled: false, locale: 'zh-CN', language: 'zh-Hans', colorScheme: 'dark' },
  },
  {
    name: 'desktop',
    viewport: { width: 1280, height: 800 },
    ...{ javaScriptEnabled: true, locale: 'en', language: 'en', colorScheme: 'light' },
  },
]
const folder = process.env.SCREENSHOTS

describe('in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    if (folder !== undefined) mkdirSync(folder, { recursive: true })
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  })
  afterAll(() => browser?.close())

  test.each(VIEWS)('every page is accessible: $name', async ({ name, language, ...options }) => {
    const visitor = newVisitor(world.hearth.url)
    await signIn(visitor, world.admin)
    await untilFigures(visitor)
    const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
    await context.addCookies([...visitor.cookies].map(([key, value]) => ({ name: key, value, url: world.hearth.url })))
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`)
    })
    const faults: string[] = []
    for (const [title, path] of Object.entries(adminPaths(world))) {
      const answer = await page.goto(world.hearth.url + path)
      if (folder !== undefined) {
        const file = `${title}.${name}`.replace(/[^a-z0-9.]+/gi, '-')
        await page.screenshot({ path: join(folder, `${file}.png`), fullPage: true })
      }
      if (answer?.status() !== 200) faults.push(`${path}: ${answer?.status()}`)
      const scripts = options.javaScriptEnabled === true
      const found = await faultsOf(page, { language, scripts, keyboard: scripts })
      faults.push(...found.map((fault) => `${path}: ${fault}`))
    }
    expect([...faults, ...complaints]).toEqual([])
    await context.close()
  })
})

describe('acts by forms, without scripts', () => {
  /** Pages of acts with the fields to enter, the text that the page then shows, and the entry of the audit log. */
  const acts = (): [path: string, fields: Record<string, string>, said: string, action: string | undefined][] => {
    const file = `/admin/media/example.org/${world.mediaId}`
    const media = '/_synapse/admin/v1/media'
    const token = '/_synapse/admin/v1/registration_tokens'
    const room = `/admin/rooms/${encodeURIComponent(world.room)}`
    const rooms = '/_synapse/admin/v1/rooms'
    return [
      [
        '/admin/tokens/new',
        { token: 'two-days', uses: '2', expires: '2099-01-02T03:04' },
        'is created',
        `POST ${token}/new`,
      ],
      ['/admin/tokens/two-days/edit', { uses: '' }, 'is changed', `PUT ${token}/:token`],
      ['/admin/tokens/two-days/delete', {}, 'is deleted', `DELETE ${token}/:token`],
      [`${file}/unquarantine`, {}, 'is not quarantined', `POST ${media}/unquarantine/:serverName/:mediaId`],
      [`${file}/protect`, {}, 'is protected', `POST ${media}/protect/:mediaId`],
      [`${file}/unprotect`, {}, 'is not protected', `POST ${media}/unprotect/:mediaId`],
      [`${file}/quarantine`, {}, 'is quarantined', `POST ${media}/quarantine/:serverName/:mediaId`],
      ['/admin/media/delete-copies', { day: '2020-01-01' }, 'are deleted', 'POST /_synapse/admin/v1/purge_media_cache'],
      ['/admin/media/delete-uploads', { day: '2020-01-01' }, 'are deleted', `POST ${media}/delete`],
      [`${file}/delete`, {}, 'is deleted', `DELETE ${media}/:serverName/:mediaId`],
      [
        '/admin/reports/1/handle',
        { state: 'dismissed', note: 'Nothing' },
        'is changed',
        'PUT /_hearth/admin/v1/reports/:reportId',
      ],
      ['/admin/reports/1/delete', {}, 'is deleted', 'DELETE /_hearth/admin/v1/reports/:reportId'],
      [
        `/admin/notices?user=${encodeURIComponent(world.user.userId)}`,
        { body: 'The water is on again.' },
        'is sent',
        'POST /_synapse/admin/v1/send_server_notice',
      ],
      [`${room}/make-admin`, {}, 'has the power', `POST ${rooms}/:roomIdOrAlias/make_room_admin`],
      [`${room}/join`, { user: world.admin.userId }, 'has joined', 'POST /_synapse/admin/v1/join/:roomIdOrAlias'],
      [`${room}/block`, {}, 'is blocked', `PUT ${rooms}/:roomId/block`],
      [`${room}/unblock`, {}, 'is not blocked', `PUT ${rooms}/:roomId/block`],
      [`${room}/quarantine`, {}, 'are quarantined', 'POST /_synapse/admin/v1/room/:roomId/media/quarantine'],
      [`${room}/purge`, { day: '2099-01-01' }, 'is being purged', 'POST /_synapse/admin/v1/purge_history/:roomId'],
      [`${room}/delete`, { block: 'on' }, 'is being deleted', 'DELETE /_synapse/admin/v2/rooms/:roomId'],
      ['/admin/appservices/bridge/ping', {}, 'has answered', undefined],
    ]
  }

  test('each says that it is done, and is in the audit log', async () => {
    world.bridge.respond = async () => ({ status: 200, body: {} })
    const visitor = newVisitor(world.hearth.url)
    await signIn(visitor, world.admin)
    for (const [path, fields, said, action] of acts()) {
      const done = await visitor.submit(await visitor.open(path), fields)
      expect([done.status, done.text], path).toEqual([200, expect.stringMatching(`role="status">[^<]*${said}`)])
      const { entries } = await world.admin.get('/_hearth/admin/v1/audit_log?limit=1')
      if (action !== undefined)
        expect(entries).toEqual([expect.objectContaining({ action, actor: world.admin.userId })])
    }
  })

  test('what cannot be done is said, with what was entered', async () => {
    const visitor = newVisitor(world.hearth.url)
    await signIn(visitor, world.admin)
    const again = { token: 'for-the-committee', uses: '7' }
    const taken = await visitor.submit(await visitor.open('/admin/tokens/new'), again)
    expect(taken).toMatchObject({ status: 400, alert: expect.stringContaining('exists already') })
    expect(taken.forms.at(-1)?.fields).toMatchObject(again)
    const never = await visitor.submit(await visitor.open('/admin/media/delete-copies'), { day: 'never' })
    expect(never).toMatchObject({ status: 400, alert: expect.any(String) })
    // Its reports and its server can be looked up.
    expect(await visitor.open('/admin/users/%40anna%3Aelsewhere.example')).toMatchObject({ status: 200 })
    for (const [path, status] of [
      ['/admin/reports/999999', 404],
      ['/admin/media/example.org/none', 404],
      ['/admin/users/%40nobody%3Aexample.org', 404],
      ['/admin/users/anna', 400],
      ['/admin/rooms/anna', 400],
    ] as const) {
      const page = await visitor.open(path)
      expect([page.status, page.alert], path).toEqual([status, expect.any(String)])
    }
  })
})
