import { expect, test } from 'vitest'
import { html } from './html.ts'

test('text is escaped, HTML stays', () => {
  const list = ['<b>', `"it's" & so`].map((item) => html`<li title="${item}">${item}</li>`)
  expect(html`<ul>${list}</ul>${1}${''}`.text).toBe(
    '<ul><li title="&#60;b&#62;">&#60;b&#62;</li>' +
      '<li title="&#34;it&#39;s&#34; &#38; so">&#34;it&#39;s&#34; &#38; so</li></ul>1',
  )
})
