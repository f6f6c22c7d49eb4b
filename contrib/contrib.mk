# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += contrib/packages.sh contrib/build.sh contrib/bundle.sh contrib/try.sh
EXTRA_DIST += contrib/update-docs.sh
