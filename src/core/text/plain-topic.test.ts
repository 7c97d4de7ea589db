import { expect, test } from 'vitest'
import type { JsonObject } from '../pdu.ts'
import { plainTopic } from './plain-topic.ts'

const withTexts = (texts: unknown): JsonObject => ({ topic: 'old', 'm.topic': { 'm.text': texts } }) as JsonObject

test.each<[string, JsonObject, string | undefined]>([
  ['only `topic`', { topic: 'old' }, 'old'],
  ['text without a type', withTexts([{ body: 'new' }]), 'new'],
  [
    'plain text after HTML',
    withTexts([
      { mimetype: 'text/html', body: '<b>' },
      { mimetype: 'text/plain', body: 'new' },
    ]),
    'new',
  ],
  ['the first of two', withTexts([{ body: 'new' }, { body: 'newer' }]), 'new'],
  ['an empty text', withTexts([{ body: '' }]), ''],
  ['only HTML', withTexts([{ mimetype: 'text/html', body: '<b>' }]), 'old'],
  ['no texts', withTexts([]), 'old'],
  ['what is malformed', withTexts({ body: 'new' }), 'old'],
  ['malformed texts', withTexts([null, 1, 'new', { body: 7 }, []]), 'old'],
  ['no topic', {}, undefined],
  ['no text', { topic: 7, 'm.topic': [] }, undefined],
])('%s', (_, content, topic) => expect(plainTopic(content)).toBe(topic))
