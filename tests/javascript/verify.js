// Verifies what a venue has issued with other people's libraries: nothing here is the venue's code.
//
// Standard input: {"credential": object or compact JWT, "did": document or null, "lists": [documents], "now": instant}.
// Standard output: {"valid": true | false, "reasons": [...]}. What is not at hand cannot be loaded: there is no network.

import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as vc from '@digitalbazaar/vc';
import {compactVerify, decodeProtectedHeader, importJWK} from 'jose';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {checkStatus} from '@digitalbazaar/vc-bitstring-status-list';
import {createVerifyCryptosuite} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';

const SETS = {revocation: 'revoked', suspension: 'suspended'};
const MULTIKEY = 'https://w3id.org/security/multikey/v1';

const asked = JSON.parse(await readAll(process.stdin));
const now = new Date(asked.now);
const suite = new DataIntegrityProof({cryptosuite: createVerifyCryptosuite()});

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function method(id) {
  if (asked.did?.validUntil && new Date(asked.did.validUntil) <= now) {
    throw new Error('the DID document is stale');
  }
  const found = (asked.did?.verificationMethod ?? []).find(row => row.id === id);
  if (!found) {
    throw new Error(`no key ${id}`);
  }
  if (found.expires && new Date(found.expires) <= now) {
    throw new Error(`key ${id} has ended`);
  }
  return {'@context': MULTIKEY, ...found};
}

async function documentLoader(url) {
  const list = asked.lists.find(row => row.id === url);
  if (list) {
    return {contextUrl: null, documentUrl: url, document: structuredClone(list)};
  }
  if (asked.did && url === asked.did.id) {
    return {contextUrl: null, documentUrl: url, document: asked.did};
  }
  if (url.includes('#')) {
    return {contextUrl: null, documentUrl: url, document: method(url)};
  }
  return vc.defaultDocumentLoader(url);
}

// A list is verified for the instant that was asked for, and has to say until when it counts.
async function listReasons(list) {
  if (!list.validUntil) {
    return ['status list without an end'];
  }
  const result = await vc.verifyCredential({credential: structuredClone(list), suite, documentLoader, now, maxClockSkew: 60});
  return result.verified ? [] : [`status list not verified: ${words(result.error)}`];
}

// `verified` of the library says that the lists are good. Whether the bits are set is another question.
async function statusReasons(credential) {
  const entries = [credential.credentialStatus ?? []].flat();
  const reasons = [];
  for (const entry of entries) {
    const list = asked.lists.find(row => row.id === entry.statusListCredential);
    reasons.push(...(list ? await listReasons(list) : [`status list missing: ${entry.statusListCredential}`]));
  }
  if (reasons.length || !entries.length) {
    return reasons;
  }
  const looked = await checkStatus({credential, suite, documentLoader, verifyBitstringStatusListCredential: false});
  if (!looked.verified) {
    return [`status not known: ${words(looked.error)}`];
  }
  return looked.results.filter(row => row.status).map(row => SETS[row.credentialStatus.statusPurpose] ?? 'set');
}

async function documentReasons(credential) {
  const statuses = [];
  const result = await vc.verifyCredential({
    credential: structuredClone(credential),
    suite,
    documentLoader,
    now,
    maxClockSkew: 60,
    checkStatus: async () => {
      statuses.push(...await statusReasons(credential));
      return {verified: statuses.length === 0};
    },
  });
  if (result.verified) {
    return statuses;
  }
  return statuses.length ? statuses : [words(result.error)];
}

async function jwtReasons(token) {
  const header = decodeProtectedHeader(token);
  const row = method(header.kid);
  if (!asked.did.assertionMethod.includes(header.kid) || row.controller !== asked.did.id) {
    return [`${header.kid} may not assert`];
  }
  const jwk = await Ed25519Multikey.toJwk({keyPair: await (await Ed25519Multikey.from(row)).export({raw: true})});
  const key = await importJWK(jwk, header.alg);
  const {payload, protectedHeader} = await compactVerify(token, key, {algorithms: ['EdDSA']});
  if (protectedHeader.typ !== 'vc+jwt') {
    return ['not a vc+jwt'];
  }
  const credential = JSON.parse(new TextDecoder().decode(payload));
  const reasons = [];
  if (credential.issuer !== asked.did.id) {
    reasons.push('wrong issuer');
  }
  if (new Date(credential.validUntil) <= now) {
    reasons.push('expired');
  }
  if (new Date(credential.validFrom) > now) {
    reasons.push('not yet valid');
  }
  return [...reasons, ...await statusReasons(credential)];
}

function words(error) {
  const causes = [error?.errors ?? [], error?.cause ?? []].flat();
  return [error?.message ?? 'not verified', ...causes.map(words)].join('; ');
}

let reasons;
try {
  reasons = await (typeof asked.credential === 'string' ? jwtReasons : documentReasons)(asked.credential);
} catch (error) {
  reasons = [words(error)];
}
process.stdout.write(`${JSON.stringify({valid: reasons.length === 0, reasons})}\n`);
