/** What only VIPs of protocol http have: headers that are changed, and rules that rewrite, redirect or respond. */
import { z } from 'zod';
import { headerFault } from '../../protocols/http/header-rules.ts';
import { list } from './record.ts';
import { choice, integer, text } from './scalars.ts';

const headerName = text.superRefine((name, context) => {
  // Host decides where a request goes: what the rules saw is what the server gets.
  const isOwn = /^(host|proxy-connection)$/i.test(name);
  const fault = isOwn ? `"${name}" is the balancer's own: leave it out` : headerFault(name);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
});

const headerValue = z
  .string()
  .transform((written) => written.trim())
  .refine((value) => headerFault('X', value) === undefined, {
    error: 'is not the value of a header: printable ASCII without line breaks would be right',
  });

const headerChanges = z.strictObject({
  remove: list(headerName).default([]).describe('Header names; this goes first.'),
  set: z
    .record(headerName, headerValue)
    .prefault({})
    .describe('Header name → value, instead of whatever is there.'),
  add: z
    .record(headerName, headerValue)
    .prefault({})
    .describe('Header name → value, beside whatever is there.'),
});

export const headers = z.strictObject({
  request: headerChanges.prefault({}).describe('On the way to the server.'),
  response: headerChanges.prefault({}).describe('On the way to the client.'),
});

export const rewrite = z.strictObject({
  path: text
    .refine((path) => /^[/$]/.test(path), { error: 'is not a path: one that begins with "/" would be right' })
    .describe(
      'The new path; `$1` is what the first `*` or group of the `path` pattern stands for, `$$` a dollar. The query stays.',
    ),
});

// What a client wrote may be part of a path, never of the host that it is sent to, but for its own (`$host`). A header field is written a byte a
// character: one beyond could become the end of a line.
const target = text.refine(
  (to) => /^(https?:\/\/(?:\$host|(?:(?![/?#$])[!-~])+)(?:[/?#]|$)|\/)[\x21-\x7e]*$/.test(to),
  {
    error: 'is not a URL: "https://new.example/" or "/new" would be right',
  },
);

export const redirect = z.union([
  z.strictObject({
    to: target.describe(
      'A URL or a path, as it is written; `$1` as in `rewrite`. `https://$host/$1`: the host that the client asked for.',
    ),
    status: choice(['301', '302', '303', '307', '308'])
      .prefault('302')
      .transform(Number)
      .describe('The status code.'),
  }),
  target.transform((to) => ({ to, status: 302 })),
]);

export const respond = z
  .strictObject({
    status: integer(200, 599).prefault('200').describe('The status code.'),
    body: z.string().prefault('').describe('The body, or `file:PATH`.'),
    type: headerValue.prefault('text/plain; charset=utf-8').describe('The Content-Type of the body.'),
  })
  .refine(({ status, body }) => body === '' || ![204, 205, 304].includes(status), {
    error: ({ input }) => `a response ${(input as { status: number }).status} has no body`,
    path: ['body'],
  });
