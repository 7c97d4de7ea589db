import { z } from 'zod'

const link = z.strictObject({ name: z.string().min(1).max(100), url: z.url('expected a URL') })

/** The section `branding`. */
export const branding = z
  .strictObject({
    name: z.string().min(1).max(100).optional().meta({
      description: 'The name of this service on its pages and in its mails. Absent: server_name.',
      example: 'Example chat',
    }),
    logo: z.string().min(1).optional().meta({
      description: 'An image file (SVG, PNG, JPEG or WebP) to show on the pages.',
      example: '/etc/hearth/logo.svg',
    }),
    links: z
      .array(link)
      .max(20)
      .prefault([])
      .describe('Links at the end of each page: {name: Privacy, url: "https://example.org/privacy"}.'),
  })
  .prefault({})
  .describe('How the pages of this server look: sign-in, registration and account.')
