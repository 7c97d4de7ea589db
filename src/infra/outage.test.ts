import { expect, test } from 'vitest'
import { NotFoundError } from '../core/errors.ts'
import { outageError } from './outage.ts'

const failing = (code: string | undefined, message = 'it fails') => Object.assign(new Error(message), { code })

test.each(['ENOSPC', 'EDQUOT', '53100'])('%s is a full disk', (code) => {
  expect(outageError(failing(code))).toMatchObject({ status: 503, message: expect.stringContaining('disk') })
})

test.each(['08000', '08006', '57P01', '57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH'])(
  '%s: no database',
  (code) => {
    expect(outageError(failing(code))).toMatchObject({ status: 503, message: expect.stringContaining('database') })
  },
)

test.each(['57014', '55P03', '25P03'])('%s: it took too long', (code) => {
  expect(outageError(failing(code))).toMatchObject({ status: 503, message: expect.stringContaining('too long') })
})

test('the driver tells of broken connections without a code', () => {
  const error = failing(undefined, 'Connection terminated unexpectedly')
  expect(outageError(error)).toMatchObject({ status: 503, message: expect.stringContaining('database') })
})

test.each([failing('23505'), failing(undefined), new NotFoundError('nothing'), 'text', undefined])(
  '%s is no outage',
  (error) => expect(outageError(error)).toBeUndefined(),
)
