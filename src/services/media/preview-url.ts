import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError } from '../../core/errors.ts'
import { createLeases } from '../../infra/concurrency/leases.ts'
import { type AskedLanes, createAskedLanes } from '../../infra/federation/asked-lanes.ts'
import {
  claimUrlPreview,
  findUrlPreview,
  type StoredPreview,
  storeUrlPreview,
} from '../../storage/media/url-previews.ts'
import { fetchPreview, ImageNotStoredError, isAllowedPage } from './fetch-preview.ts'
import { isWebUrl } from './page-preview.ts'

/** `at`: the preview may be from this time, in milliseconds, if it is still stored. */
export type PreviewRequest = { url: string; at: number | undefined; language: string | undefined }

const FAILURE_LIFETIME_MS = 60_000
/** Beyond the timeout of the fetch, to store its result. */
const LEASE_MARGIN_MS = 10_000
const LOOK_EVERY_MS = 100
const MAX_LANGUAGE = 100

/**
 * Returns the preview of a URL as JSON text. Concurrent requests, at any process, fetch a page once; failures are
 * stored for a minute. Throws M_INVALID_PARAM, M_FORBIDDEN, M_LIMIT_EXCEEDED, 502 if the page cannot be fetched, and
 * errors of the media store.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
 */
export async function previewUrl(app: App, request: PreviewRequest): Promise<string> {
  const url = pageUrl(app, request.url)
  const language = acceptedLanguage(request.language)
  const key = createHash('sha256')
    .update(JSON.stringify([url.href, language]))
    .digest('base64url')
  const now = app.clock.now()
  const stored = await findUrlPreview(app.database, key)
  // Only previews that were made are returned from the past: a failure that has expired is tried again.
  const asOf = stored.preview === null ? now : Math.max(0, Math.min(request.at ?? now, now))
  if (stored.expiresTs > asOf) return textOf(stored)
  const fetched = inTurn(app, () => app.media.previews(key, () => fetchOnce(app, { key, url, language })))
  return textOf(await fetched)
}

/** Returns the lanes of fetched pages: their images are held in memory, so fewer run than other requests. */
export function createPageLanes({ limits, url_previews }: App['config']): AskedLanes {
  const { max_concurrent: users, max_concurrent_per_user: user } = url_previews
  return createAskedLanes({ ...limits.remote_requests, user, users })
}

/** Waits for a place in the requester's lane. */
async function inTurn(app: App, work: () => Promise<StoredPreview>): Promise<StoredPreview> {
  if (!app.asker) return work()
  const signal = AbortSignal.timeout(app.config.url_previews.timeout)
  try {
    return await app.pageLanes(app.asker, work, signal)
  } catch (error) {
    if (error === signal.reason) throw unavailable()
    throw error
  }
}

function pageUrl(app: App, text: string): URL {
  if (!app.config.url_previews.enabled) throw new ForbiddenError('This server does not offer URL previews')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !isWebUrl(url)) throw new InvalidParamError('url must be an http or https URL without credentials')
  url.hash = ''
  if (!isAllowedPage(app, url)) throw new ForbiddenError('This server does not fetch pages of this host')
  return url
}

/** The header of the client, if it is one: it becomes a header of the request for the page. */
function acceptedLanguage(header: string | undefined): string | undefined {
  return header !== undefined && header.length <= MAX_LANGUAGE && /^[\w*,;=. -]+$/.test(header) ? header : undefined
}

function textOf({ preview }: StoredPreview): string {
  if (preview !== null) return preview
  throw unavailable()
}

/** The same for every reason, so that the answer says nothing about networks behind the server. */
function unavailable(): MatrixError {
  return new MatrixError(502, 'M_UNKNOWN', 'The page could not be fetched. Try again later.')
}

type Page = { key: string; url: URL; language: string | undefined }

/** Fetches the page, or waits while another process does so. */
async function fetchOnce(app: App, page: Page): Promise<StoredPreview> {
  const { timeout } = app.config.url_previews
  const leases = createLeases(app, timeout + LEASE_MARGIN_MS)
  const looks = Math.ceil((timeout + LEASE_MARGIN_MS) / LOOK_EVERY_MS)
  let leasedUntil = 0
  for (let look = 0; look < looks && !app.stopping.aborted; look++) {
    const lease = leases.next()
    const isFree = leasedUntil <= lease.now
    if (isFree && (await app.database.write((tx) => claimUrlPreview(tx, page.key, lease))))
      return fetchAndStore(app, page, leases.holder)
    const stored = await findUrlPreview(app.database, page.key)
    if (stored.expiresTs > app.clock.now()) return stored
    leasedUntil = stored.leasedUntil
    await pause(LOOK_EVERY_MS)
  }
  return { preview: null, expiresTs: 0 }
}

async function fetchAndStore(app: App, { key, url, language }: Page, holder: string): Promise<StoredPreview> {
  const store = (result: StoredPreview) => app.database.write((tx) => storeUrlPreview(tx, { ...result, key, holder }))
  try {
    const result = await fetchResult(app, url, language)
    await store(result)
    return result
  } catch (error) {
    // Releases the lease, so that the next request tries again; what fails here too waits for its end.
    await store({ preview: null, expiresTs: 0 }).catch(() => {})
    throw error
  }
}

async function fetchResult(app: App, url: URL, language: string | undefined): Promise<StoredPreview> {
  const { timeout, cache_lifetime } = app.config.url_previews
  const signal = AbortSignal.any([AbortSignal.timeout(timeout), app.stopping])
  try {
    const preview = JSON.stringify(await fetchPreview(app, url, { language, signal }))
    // The image of a preview is deleted with unused remote media.
    const lifetime = Math.min(cache_lifetime, app.config.media.remote_cache_lifetime)
    return { preview, expiresTs: app.clock.now() + lifetime }
  } catch (error) {
    if (error instanceof ImageNotStoredError) throw error.cause
    app.logger.info({ err: error, host: url.hostname }, 'fetch of a page for a URL preview failed')
    return { preview: null, expiresTs: app.clock.now() + FAILURE_LIFETIME_MS }
  }
}
