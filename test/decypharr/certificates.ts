/** Makes a certificate authority for one run, and a certificate for the API's host. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** Path of the authority's certificate, for SSL_CERT_FILE. */
  readonly authority: string;
  readonly key: Buffer;
  readonly certificate: Buffer;
}

/** Makes the files in `folder`, which is removed after the run. */
export function makeCertificates(folder: string, host: string): Certificates {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-x509', '-days', '2', '-subj', '/CN=Holdfast test authority'];
  openssl('req', ...authority, ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', ...newKey, '-subj', `/CN=${host}`, '-keyout', file('host.key'), '-out', file('host.csr'));
  writeFileSync(file('host.ext'), `subjectAltName=DNS:${host}\n`);
  const signedBy = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2'];
  openssl(
    ...['x509', '-req', '-in', file('host.csr'), ...signedBy],
    ...['-extfile', file('host.ext'), '-out', file('host.pem')],
  );
  return {
    authority: file('ca.pem'),
    key: readFileSync(file('host.key')),
    certificate: readFileSync(file('host.pem')),
  };
}
