/** The vendor systems that `gantry init` knows. */
import { agfaEnterpriseImaging } from './agfa-enterprise-imaging.ts';
import { canonVitreaDelftdi } from './canon-vitrea-delftdi.ts';
import { geTruePacs } from './ge-true-pacs.ts';
import { philipsRisWim } from './philips-ris-wim.ts';
import { philipsVuePacs } from './philips-vue-pacs.ts';
import type { Profile } from './profile.ts';

export const PROFILES: readonly Profile[] = [
  philipsRisWim,
  philipsVuePacs,
  canonVitreaDelftdi,
  agfaEnterpriseImaging,
  geTruePacs,
];
