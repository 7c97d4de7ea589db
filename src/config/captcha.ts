import { z } from 'zod'

const webUrl = z.url({ protocol: /^https?$/, error: "expected a URL such as 'https://captcha.example.org/siteverify'" })

/** The section `registration.captcha`. */
export const captcha = z
  .strictObject({
    provider: z.enum(['recaptcha', 'hcaptcha', 'turnstile']).optional().meta({
      description: 'recaptcha (version 2, by Google), hcaptcha or turnstile (by Cloudflare). Absent: no captcha.',
      example: 'turnstile',
    }),
    site_key: z.string().min(1).max(1000).optional().meta({
      description: 'The public key that the provider issues.',
      example: '10000000-ffff-ffff-ffff-000000000001',
    }),
    secret_key: z.string().min(1).max(1000).optional().meta({
      description: 'The secret key that the provider issues.',
      example: 'a secret',
    }),
    script_url: webUrl.optional().meta({
      description: "The script that shows the captcha. Absent: the provider's.",
      example: 'https://www.recaptcha.net/recaptcha/api.js',
    }),
    verify_url: webUrl.optional().meta({
      description: "Where Hearth has a solved captcha checked. Absent: the provider's.",
      example: 'https://www.recaptcha.net/recaptcha/api/siteverify',
    }),
  })
  .refine(({ provider, site_key }) => provider === undefined || site_key !== undefined, {
    message: 'a captcha needs the site key of its provider',
    path: ['site_key'],
  })
  .refine(({ provider, secret_key }) => provider === undefined || secret_key !== undefined, {
    message: 'a captcha needs the secret key of its provider',
    path: ['secret_key'],
  })
  .prefault({})
  .describe('A captcha that a new user has to solve. The provider learns the network address of each new user.')
