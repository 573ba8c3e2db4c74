/** Settings for tests: a disk may be filled to its last byte. */
import { type QueueSettings, USUAL_SETTINGS } from '../../src/queue/message.ts';

export const SETTINGS: QueueSettings = { ...USUAL_SETTINGS, reserve: 0 };
