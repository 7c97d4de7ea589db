import { mailRenewalLink } from '../../../services/users/account-validity.ts'
import { route } from '../../http/route.ts'

/** Mails the user the link that renews the account, also after it has expired; at most once an hour. As in Synapse. */
export const postRenewalMail = route({
  method: 'POST',
  path: '/_matrix/client/unstable/account_validity/send_mail',
  auth: 'user',
  suspendedUsers: true,
  expiredUsers: true,
  rateLimit: 'login',
  async handle({ session }, app) {
    await mailRenewalLink(app, session.userId)
    return {}
  },
})
