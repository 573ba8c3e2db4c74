import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/cli/failure.ts';
import { parseAddresses } from '../../src/cli/given-addresses.ts';

function sentence(...written: string[]): string {
  try {
    return `no failure: ${parseAddresses('--server', written).join(', ')}`;
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    return (error as Failure).message;
  }
}

describe('parseAddresses', () => {
  it('one spelling for each address', () => {
    expect(
      parseAddresses('--vip', ['10.0.0.4', 'FD00:0:0::4', '::ffff:10.0.0.5', '::ffff:a00:6', '::1']),
    ).toEqual(['10.0.0.4', 'fd00::4', '10.0.0.5', '10.0.0.6', '::1']);
  });

  it.each([
    'pacs',
    '10.0.0',
    '10.0.0.4:104',
    '[fd00::4]',
    '10.0.0.4/24',
    '010.0.0.4',
    'fe80::1%eth0',
    '',
    '-1',
  ])('no IP address: %j', (written) => {
    expect(sentence(written)).toBe(
      `--server "${written}" is not an IP address: 10.0.0.11 or fd00::11 would be right`,
    );
  });

  it.each(['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1', '::ffff:0.0.0.0'])(
    'not of one machine: %s',
    (written) => {
      expect(sentence(written)).toBe(`--server "${written}" is not the address of one machine`);
    },
  );

  it('twice, also in two spellings', () => {
    expect(sentence('10.0.0.4', '10.0.0.5', '10.0.0.4')).toBe('--server 10.0.0.4 is given twice');
    expect(sentence('fd00::4', 'FD00:0::4')).toBe('--server FD00:0::4 is given twice');
  });

  it('property: any text is read or refused with a sentence', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (written) => {
        expect(sentence(written)).toMatch(/^--server "|^no failure: /);
      }),
    );
  });
});
