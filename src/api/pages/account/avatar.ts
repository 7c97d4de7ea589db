import { fileTypeFromBuffer } from 'file-type'
import { z } from 'zod'
import type { App } from '../../../app.ts'
import { contentUriOf, parseContentUri } from '../../../core/content-uri.ts'
import { InvalidParamError, MatrixError, NotFoundError, SuspendedError, TooLargeError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { MalformedMultipartError, type Part, readParts } from '../../../infra/http/multipart.ts'
import { IMAGE_TYPES } from '../../../infra/media/thumbnails.ts'
import { findMedia } from '../../../services/lookup/find-media.ts'
import { thumbnailMedia } from '../../../services/media/thumbnail-media.ts'
import { uploadMedia } from '../../../services/media/upload-media.ts'
import { isUsableSession, recognizeBrowser } from '../../../services/sign-in/web-sessions.ts'
import { getProfile, setProfileField } from '../../../services/users/profile.ts'
import type { Profile } from '../../../storage/users/profiles.ts'
import { route } from '../../http/route.ts'
import { readUpload } from '../../media/read-upload.ts'
import { sendContent } from '../../media/send-content.ts'
import { thumbnailName } from '../../media/thumbnail-media.ts'
import { readCookie } from '../cookies.ts'
import { form } from '../form.ts'
import { accountPage, redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import type { AccountVisit } from './account-page.ts'

const PATH = '/account/avatar'
const SIZE = 96
const MAX_AVATAR_BYTES = 10 * 1024 * 1024
/** By its first bytes a file's type is recognised. */
const HEAD_BYTES = 4100
const TIMEOUT_MS = 10_000

/** Returns whether a user has a picture that this server can show. */
export function hasAvatar({ avatar_url }: Profile): boolean {
  return parseContentUri(avatar_url) !== undefined
}

/** Renders the picture of a user, or a place for it. */
export function avatarImage({ avatar_url, displayname }: Profile, texts: Texts): Html {
  const name = parseContentUri(avatar_url)
  const initial = new Intl.Segmenter().segment(String(displayname ?? '')).containing(0)?.segment ?? ''
  if (!name) return html`<span class="avatar" aria-hidden="true">${initial.toUpperCase()}</span>`
  // The path changes with the picture, so that browsers can keep it.
  const path = `${PATH}?${new URLSearchParams({ of: `${name.serverName}/${name.mediaId}` })}`
  return html`<img class="avatar" src="${path}" alt="${texts.profile.yourAvatar}" width="${SIZE}" height="${SIZE}">`
}

/** The form that uploads a picture. */
export function avatarForm(visit: AccountVisit): Html {
  const { profile } = visit.texts
  const fields = html`<label for="field-avatar">${profile.chooseAvatar}</label>
<input type="file" id="field-avatar" name="avatar" accept="${IMAGE_TYPES.join(',')}" required aria-describedby="field-avatar-help">
<small id="field-avatar-help">${profile.avatarHint}</small>`
  return form(visit, { action: PATH, fields, submit: profile.saveAvatar, upload: true })
}

/** Serves the signed-in user's own picture, as a thumbnail. */
export const getAvatar = route({
  method: 'GET',
  path: PATH,
  auth: 'none',
  query: z.object({ of: z.string().optional() }),
  async handle(call, app) {
    const { request, signal } = call
    const { ip, userAgent, raw } = request
    const { session } = await recognizeBrowser(app, { cookie: readCookie(app, raw) ?? '', ip, userAgent })
    const name =
      session && isUsableSession(session) && parseContentUri((await getProfile(app, session.userId)).avatar_url)
    if (!name) throw new NotFoundError('There is no picture')
    const { file } = await findMedia(app, name, { timeoutMs: TIMEOUT_MS, signal })
    const { contentType, ...content } = await thumbnailMedia(app, file, {
      width: SIZE,
      height: SIZE,
      method: 'crop',
      animated: false,
    })
    const filename = thumbnailName(contentType)
    return sendContent(app, call, { ...content, contentType, disposition: 'inline', filename, cache: 'private' })
  },
})

export const postAvatarPage = accountPage({
  method: 'POST',
  path: PATH,
  rateLimit: 'media',
  needs: 'signed in',
  upload: true,
  async handle(visit, app) {
    const { session } = visit
    if (session.isSuspended) throw new SuspendedError()
    const stored = await app.media.uploads(session.userId, () => storeAvatar(app, visit))
    if (stored === undefined) throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'You are already uploading other files')
    if (stored === 'no image') return redirectTo('/account/profile?problem=no-image')
    if (stored === 'too large') return redirectTo('/account/profile?problem=image-too-large')
    const job = await setProfileField(app, { userId: session.userId, field: 'avatar_url', value: stored })
    if (job !== undefined) await app.jobs.attend(job)
    return redirectTo('/account/profile?done=avatar')
  },
})

/** Stores the file of the form, and returns its URI. */
async function storeAvatar(app: App, { raw, session }: AccountVisit): Promise<string | 'no image' | 'too large'> {
  const type = raw.headers['content-type'] ?? ''
  try {
    for await (const part of readParts(type, readUpload(raw, app.config))) {
      if (/\bname="avatar"/.test(part.headers.get('content-disposition') ?? ''))
        return await storeImage(app, part.content, session.userId)
    }
    return 'no image'
  } catch (error) {
    if (error instanceof MalformedMultipartError) throw new InvalidParamError(error.message)
    if (error instanceof TooLargeError) return 'too large'
    throw error
  }
}

async function storeImage(
  app: App,
  content: Part['content'],
  uploader: AccountVisit['session']['userId'],
): Promise<string | 'no image'> {
  const bytes = bounded(content)[Symbol.asyncIterator]()
  const head = await readHead(bytes)
  const contentType = (await fileTypeFromBuffer(head))?.mime
  if (contentType === undefined || !IMAGE_TYPES.includes(contentType)) return 'no image'
  const source = joined(head, bytes)
  return contentUriOf(await uploadMedia(app, { uploader, contentType, filename: undefined, source }))
}

async function* bounded(content: Part['content']): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of content) {
    size += chunk.length
    if (size > MAX_AVATAR_BYTES) throw new TooLargeError(`A picture has at most ${MAX_AVATAR_BYTES} bytes`)
    yield chunk
  }
}

async function readHead(bytes: AsyncIterator<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let size = 0; size < HEAD_BYTES; ) {
    const { done, value } = await bytes.next()
    if (done) break
    chunks.push(value)
    size += value.length
  }
  return Buffer.concat(chunks)
}

async function* joined(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head
  yield* { [Symbol.asyncIterator]: () => rest }
}
