import type { UserId } from '../../../core/ids.ts'
import { html } from '../../../core/text/html.ts'
import { noticesUser } from '../../../services/rooms/access/notices-user.ts'
import { postServerNotice } from '../../admin/server/server-notices.ts'
import { field, textarea } from '../form.ts'
import { actPage } from './act-page.ts'
import { NOTICES_PATH } from './paths.ts'
import { performAct } from './perform-act.ts'

const MAX_NOTICE = 20_000

/** Sends a server notice to a user. */
export const [getNoticesPage, postNoticesPage] = actPage({
  act: 'sendNotice',
  path: NOTICES_PATH,
  section: 'notices',
  subject: (_params, { admin }) => ({ path: NOTICES_PATH, label: admin.sections.notices }),
  fields(app, { texts, query }, filled) {
    const { notices: words } = texts.admin
    const user = filled?.get('user') ?? query.user ?? ''
    const name = { name: 'user', required: true, maxlength: 255, autocapitalize: 'none', spellcheck: 'false' }
    const body = { name: 'body', rows: 6, required: true, maxlength: MAX_NOTICE }
    return [
      noticesUser(app) === undefined ? html`<p role="alert">${words.notConfigured}</p>` : html``,
      field(words.user, { ...name, value: user, placeholder: `@name:${app.serverName}` }),
      textarea(words.text, body, { value: filled?.get('body') ?? '' }),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, postServerNotice, {
      body: {
        user_id: (visit.form.get('user') ?? '').trim() as UserId,
        content: { msgtype: 'm.text', body: visit.form.get('body') ?? '' },
      },
    }),
})
