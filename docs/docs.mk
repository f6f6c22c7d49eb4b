# SPDX-License-Identifier: LGPL-2.1-or-later
dist_man_MANS += docs/vzrun.8
EXTRA_DIST += docs/annotations.md docs/architecture.md docs/release.md docs/engines.md
