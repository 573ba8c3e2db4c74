/**
 * The settings of an open association in study routing. Where studies go follows a reload at once, so that all
 * associations agree on that; all else stays as the association began.
 */
import type { AssociationHost, AssociationSettings, StudyOptions } from '../association-settings.ts';
import type { StudySettings } from './conversation.ts';

/** `began`: those with which it found its lead, and `study` of them. */
export function settingsInForce(
  host: Pick<AssociationHost, 'settings'>,
  began: AssociationSettings,
  study: StudyOptions,
): StudySettings {
  // Servers that have become another kind of archive are for new associations.
  const current = () => (host.settings.study?.storage === study.storage ? host.settings : began);
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
