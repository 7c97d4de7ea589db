import { byteSizeText } from '../../../core/text/byte-size.ts'
import { html } from '../../../core/text/html.ts'
import { loadUploadUsage, UPLOADS_PATH, type UploadUsage } from '../../../services/media/upload-limits.ts'
import { accountPage } from '../page.ts'
import { type AccountVisit, accountSubpage } from './account-page.ts'

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** Shows how much the user may upload, and has. Errors of uploads over a limit link here. */
export const getUploadsPage = accountPage({
  method: 'GET',
  path: UPLOADS_PATH,
  needs: 'signed in',
  async handle(visit, app) {
    const { title, explanation, none } = visit.texts.uploads
    const usage = await loadUploadUsage(app, visit.session.userId)
    const entries = html`<ul class="entries">${usage.map((each) => entryOf(visit, each))}</ul>`
    return accountSubpage(visit, {
      title,
      body: usage.length > 0 ? html`<p>${explanation}</p>${entries}` : html`<p>${none}</p>`,
    })
  },
})

function entryOf({ texts, language }: AccountVisit, { used, max, period }: UploadUsage) {
  const name = period === undefined ? texts.uploads.total : texts.uploads.within(periodText(language, period))
  return html`<li><div><span class="text">${name}</span>
<small>${texts.uploads.used(byteSizeText(used), byteSizeText(max))}</small></div></li>`
}

function periodText(language: string, period: number): string {
  const [unit, length] = UNITS.find(([, each]) => period % each === 0) ?? UNITS[3]
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
    Math.round(period / length),
  )
}
