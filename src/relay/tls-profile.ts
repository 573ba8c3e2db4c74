/**
 * Which algorithms TLS may use: one of the two profiles that PS3.15 B has left, which are good for any protocol. Both
 * are TLS 1.2 and 1.3, prefer the newer, and need forward secrecy and authenticated encryption.
 */
import type { SecureContextOptions } from 'node:tls';

/** PS3.15 B.12, which is BCP 195 (RFC 8996 and 9325) and no more, or B.13, which lists what is permitted. */
export type TlsProfile = 'bcp195' | 'modified';

type Algorithms = Pick<SecureContextOptions, 'ciphers' | 'ecdhCurve' | 'sigalgs'>;

const AES_GCM_AND_CHACHA20 = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];

/**
 * Of B.13 there is missing what OpenSSL does not have, Camellia in GCM, and what it takes only with its security level
 * off, CCM_8, whose tag has 64 bits. Level 2 refuses RSA keys shorter than 2048 bits and certificates signed with SHA-1;
 * the lists refuse curves shorter than 256 bits, and hashes.
 */
const MODIFIED: Algorithms = {
  ciphers: [
    ...AES_GCM_AND_CHACHA20,
    'TLS_AES_128_CCM_SHA256',
    'ECDHE-ECDSA-AES128-CCM',
    'ECDHE-ECDSA-AES256-CCM',
    '@SECLEVEL=2',
  ].join(':'),
  ecdhCurve: 'X25519:P-256:P-384:P-521',
  sigalgs: [
    'ecdsa_secp256r1_sha256',
    'ecdsa_secp384r1_sha384',
    'ecdsa_secp521r1_sha512',
    'rsa_pss_rsae_sha256',
    'rsa_pss_rsae_sha384',
    'rsa_pss_rsae_sha512',
    'rsa_pss_pss_sha256',
    'rsa_pss_pss_sha384',
    'rsa_pss_pss_sha512',
    'rsa_pkcs1_sha256',
    'rsa_pkcs1_sha384',
    'rsa_pkcs1_sha512',
  ].join(':'),
};

const ALGORITHMS: Readonly<Record<TlsProfile, Algorithms>> = {
  bcp195: { ciphers: AES_GCM_AND_CHACHA20.join(':') },
  modified: MODIFIED,
};

/** What a profile permits, for a context of TLS, of either side. Its order is that of preference. */
export function algorithmsOf(profile: TlsProfile): Algorithms {
  return ALGORITHMS[profile];
}
