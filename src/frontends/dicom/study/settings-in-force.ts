/**
 * The settings of an open association in study routing. Where studies go follows a reload at once, so that all
 * associations agree on that; all else stays as the association began.
 */
import type { Facts } from '../../../../protocols/facts.ts';
import type { AssociationHost, AssociationSettings, StudyOptions } from '../association-settings.ts';
import type { StudySettings } from './conversation-options.ts';

/** `began`: those with which the association of these facts found its lead, and `study` of them. */
export function settingsInForce(
  host: Pick<AssociationHost, 'settings'>,
  began: AssociationSettings,
  study: StudyOptions,
  facts: Facts,
): StudySettings {
  let latest = began;
  let inForce = began;
  const current = () => {
    if (latest !== host.settings) {
      latest = host.settings;
      // One that would be turned away now goes on as it is, and other archives are for those that come.
      const { reject } = latest.director.choose(facts);
      inForce = latest.study?.storage === study.storage && reject === undefined ? latest : began;
    }
    return inForce;
  };
  return {
    ...began,
    ...study,
    get director() {
      return current().director;
    },
    get links() {
      return current().links;
    },
    serverAt: (place) => (current().study ?? study).serverAt(place),
  };
}
