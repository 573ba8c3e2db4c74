/** The scripted DICOM peers against each other: what the other tests build on. */
import { afterEach, expect, test } from 'vitest';
import {
  accepting,
  closing,
  dribbling,
  dyingAfter,
  dyingInsidePdu,
  rejecting,
  resetting,
  type Scp,
  startScp,
  talkingGarbage,
} from './dicom-scp.ts';
import { associate, echoOnce } from './dicom-scu.ts';
import { associateAccept, CT_IMAGE_STORAGE } from './pdus.ts';
import { refusingAddress } from './test-connection.ts';

const started: Scp[] = [];
async function scp(script = accepting()): Promise<Scp> {
  const one = await startScp(script);
  started.push(one);
  return one;
}
afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});

test('an accepting server answers echo and store, and sees the data set as it was sent', async () => {
  const server = await scp();
  const client = await associate(server.address, {
    called: 'ARCHIVE',
    calling: 'CT1',
    propose: [CT_IMAGE_STORAGE],
  });
  expect(client.outcome).toBe('accepted');
  const dataSet = Buffer.alloc(100_001, 7);
  expect(await client.store({ sopClass: CT_IMAGE_STORAGE, sopInstance: '1.2.3', dataSet })).toBe(0);
  await client.release();
  const [association] = await server.associations.count(1, (one) => one.end === 'release');
  expect(association?.parsed).toMatchObject({ called: 'ARCHIVE', calling: 'CT1' });
  expect(association?.messages[0]?.command).toMatchObject({ sopInstance: '1.2.3', priority: 0 });
  expect(association?.messages[0]?.dataSet.equals(dataSet)).toBe(true);
  expect(client.answer.equals(associateAccept(client.request))).toBe(true);
});

test('the other scripts do what they say', async () => {
  expect(await echoOnce((await scp()).address)).toBe('0000');
  expect(await echoOnce((await scp(dribbling())).address)).toBe('0000');
  expect(await echoOnce((await scp(accepting({ status: () => 0xa700 }))).address)).toBe('a700');
  expect(await echoOnce((await scp(rejecting(2, 3, 1))).address)).toBe('rejected 2/3/1');
  expect(await echoOnce((await scp(resetting())).address)).toBe('reset');
  expect(await echoOnce((await scp(resetting('connected'))).address)).toBe('reset');
  expect(await echoOnce((await scp(closing())).address)).toBe('end');
  await expect(echoOnce((await scp(dyingInsidePdu())).address)).rejects.toThrow('reset');
  await expect(echoOnce((await scp(dyingAfter(20))).address)).rejects.toThrow('reset');
  expect(await echoOnce((await scp(talkingGarbage(Buffer.from([9, 0, 0, 0, 0, 0])))).address)).toBe(
    'garbage',
  );
  await expect(associate(await refusingAddress())).rejects.toThrow('ECONNREFUSED');
});

test('a stopped server comes back on its port', async () => {
  const server = await scp();
  await server.stop();
  await expect(associate(server.address)).rejects.toThrow('ECONNREFUSED');
  await server.restart();
  expect(await echoOnce(server.address)).toBe('0000');
});
