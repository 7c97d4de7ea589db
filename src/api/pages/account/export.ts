import { ForbiddenError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import { exportUser } from '../../../services/backup/export-user.ts'
import { isRecent, recognizeBrowser, requireUsableAccount } from '../../../services/sign-in/web-sessions.ts'
import { route } from '../../http/route.ts'
import { sendArchive } from '../../http/send-archive.ts'
import { readCookie } from '../cookies.ts'
import { accountPage } from '../page.ts'
import { accountSubpage } from './account-page.ts'

const PATH = '/account/export'
const DATA_PATH = `${PATH}/data.zip`

/** Explains what the user can download. */
export const getExportPage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'recent sign-in',
  handle(visit) {
    const { title, explanation, encrypted, download } = visit.texts.exportData
    const body = html`<p>${explanation}</p>
<p>${encrypted}</p>
<p><a href="${DATA_PATH}" download role="button">${download}</a></p>`
    return accountSubpage(visit, { title, body })
  },
})

/** Sends the data of the signed-in user, who has proved recently who they are. */
export const getExportData = route({
  method: 'GET',
  path: DATA_PATH,
  auth: 'none',
  rateLimit: 'media',
  async handle({ request: { ip, userAgent, raw }, response, owner, signal }, app) {
    const { session } = await recognizeBrowser(app, { cookie: readCookie(app, raw) ?? '', ip, userAgent })
    if (!session || !isRecent(app, session)) throw new ForbiddenError('Sign in again first')
    requireUsableAccount(session)
    const archive = await exportUser(app, { userId: session.userId, signal })
    return sendArchive(app, { response, owner }, { archive, name: 'my-data.zip' })
  },
})
