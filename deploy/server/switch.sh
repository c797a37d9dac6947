# What deploy/release, deploy/rollback and deploy/restore have in common; sourced by bash, in the folder of the sources.

root=/srv/password-reset
releases=$root/releases
logs="journalctl --unit 'password-reset-*'"

say() { printf '== %s\n' "$*"; }

stop() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

alone() {
    [ "$(id -u)" = 0 ] || stop "only root may"
    # Nobody else may open it, and so hold it.
    (umask 077; : >> /run/password-reset.lock)
    exec 9> /run/password-reset.lock
    flock --nonblock 9 || stop "another release, rollback or restore is running"
}

is_version() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || stop "$1 is no name of a release"; }

# The version that a link of $root names, or nothing.
version_of() { if [ -L "$root/$1" ]; then basename "$(readlink "$root/$1")"; fi; }

versions() { ls "$releases"; }

is_built() { [ -e "$releases/$1/.built" ]; }

point() {
    ln --symbolic --no-dereference --force "$releases/$2" "$root/$1.new"
    mv --no-target-directory "$root/$1.new" "$root/$1"
}

# Run as the owner of the tables, from a release. Whatever it runs waits for no lock longer than visitors may.
as_owner() {
    local release=$1
    shift
    UNIT=password-reset-owner-run FOLDER=$releases/$release PGOPTIONS="-c lock_timeout=${LOCK_TIMEOUT:-3s}" deploy/run "$@"
}

# Run as the site's user, with all that its services have, from a release.
as_site() {
    local release=$1
    shift
    FOLDER=$releases/$release deploy/run "$@" < /dev/null
}

# The next try builds it anew, and no rollback leads to it.
distrust() { rm -f "$releases/$version/.built"; }

# Each package is a wheel whose content is checked by its digest: nothing is compiled, nothing else is looked for.
packages() {
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes \
        --requirement requirements.lock
    .venv/bin/pip --disable-pip-version-check check > /dev/null
    .venv/bin/python -m compileall -q manage.py password_reset project
}

build() {
    case $sources/ in "$releases"/*) stop "name the sources: deploy/release $version SOURCES" ;; esac
    say "Building $version"
    rm -rf "${releases:?}/$version"
    mkdir "$releases/$version"
    (
        cd "$releases/$version"
        extract
        chown -R root:root .
        packages
        set -a
        . /etc/password-reset/env
        set +a
        # As root it does not count in the site's folder of metrics.
        .venv/bin/python manage.py collectstatic --noinput --verbosity 0
        touch .built
    )
}

check() {
    say "Checking $version"
    as_site "$version" python -m project.env \
        && as_site "$version" python manage.py check --deploy --fail-level ERROR
}

# Asked for its pages before it answers to anybody.
rehearse() { as_site "$version" python deploy/server/rehearse; }

grants() {
    local address
    address=$(. /etc/password-reset/env && printf %s "$DATABASE_URL")
    address=${address#*://}
    APP_DATABASE_USER=${address%%:*} as_owner "$1" \
        deploy/with_database OWNER_DATABASE_URL psql --no-psqlrc --quiet --file deploy/sql/grants.sql < /dev/null
}

install_units() {
    local folder=$releases/$1/deploy/systemd path
    while read -r path; do
        install -d "/etc/systemd/system/$(dirname "$path")"
        deploy/server/put 0644 root:root "/etc/systemd/system/$path" < "$folder/$path"
    done < <(cd "$folder" && find . -type f | sed 's,^\./,,' | sort)
    systemctl daemon-reload
}

# Old names stay: a page that is open in a browser asks for the style sheet of its own release.
publish_static() { cp --recursive --update --no-preserve=mode,ownership "$releases/$1/staticfiles/." "$root/static/"; }

jobs='password-reset-requests.timer password-reset-purge.timer password-reset-backup.timer password-reset-measure.timer'

# Make a release the one that runs. Another instance of it answers on the same port while the service restarts, so
# nobody waits for the new one to load or for the old one to end.
switch_to() {
    local version=$1 beside=password-reset-web@$1.service
    install_units "$version" && publish_static "$version" || return
    if systemctl --quiet is-active password-reset-web.service; then
        systemctl start "$beside" || return
    fi
    point current "$version" \
        && systemctl enable --quiet password-reset-web.socket password-reset-web.service password-reset-worker.service \
            $jobs || return
    systemctl start password-reset-web.socket \
        && systemctl restart password-reset-web.service \
        && systemctl restart password-reset-worker.service \
        && systemctl start $jobs || return
    # It would say that a caller could start it again through the socket: a caller starts password-reset-web.
    systemctl stop "$beside" 2> /dev/null
}

runs() { systemctl --quiet is-active password-reset-web.service password-reset-worker.service; }

stop_beside() { systemctl stop "password-reset-web@*.service" 2> /dev/null || true; }

smoke_test() {
    local url options
    url=$(. /etc/password-reset/env && printf %s "$WEB_URL")
    options=$(. /etc/password-reset/answers 2> /dev/null && printf %s "${SMOKE_OPTIONS:-}")
    if grep -q '^FEATURE_PASSWORD_RESET=false' /etc/password-reset/env; then options="$options --switched-off"; fi
    "$releases/$1/deploy/smoke_test" "$url" $options
}

# The five newest stay, and whatever runs or ran before.
tidy() {
    local old
    for old in $(ls -t "$releases" | tail -n +6); do
        case $old in "$(version_of current)" | "$(version_of previous)") ;; *) rm -rf "${releases:?}/$old" ;; esac
    done
}
