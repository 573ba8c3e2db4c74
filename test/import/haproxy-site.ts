/** A frontend on one port and a backend with one server, with more lines in each. */
export function site(front: string, back = '', { mode = 'http', before = '' } = {}): string {
  const lines = (text: string) => text.split('\n').map((line) => `  ${line.trim()}`);
  return [
    before,
    'frontend f',
    `  mode ${mode}`,
    '  bind 10.0.0.4:80',
    ...lines(front),
    '  default_backend b',
    'backend b',
    `  mode ${mode}`,
    '  server s 10.0.0.11:80',
    ...lines(back),
  ].join('\n');
}
