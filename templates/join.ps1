# Joins this Windows host to Muster: enrols it, and runs its collector under the Supervisor as a service.
# Handed out by a server, which put its address and its certificate authority into it. Run it as an administrator:
#   powershell -ExecutionPolicy Bypass -File join.ps1 [-Collector FILE] [-Supervisor FILE] [-Name NAME] [-Wait SECONDS]
#     [-Force] [-Rotate] [-DryRun] [-Uninstall]
# The enrolment token is read from the variable MUSTER_TOKEN, else asked for.
[CmdletBinding()]
param(
    [string]$Collector = "$env:ProgramFiles\OpenTelemetry Collector Contrib\otelcol-contrib.exe",
    [string]$Supervisor = "$env:ProgramFiles\OpenTelemetry OpAMP Supervisor\opampsupervisor.exe",
    [string]$Name = $env:COMPUTERNAME,
    [int]$Wait = 120,
    [switch]$Force,
    [switch]$Rotate,
    [switch]$DryRun,
    [switch]$Uninstall
)
Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'

$Server = '@SERVER@'
$Folder = Join-Path $env:ProgramData 'muster-agent'
$File = Join-Path $Folder 'supervisor.yaml'
$Service = 'muster-agent'

$Authority = @'
@CA_PEM@
'@

$SupervisorYaml = @'
@SUPERVISOR_YAML@
'@

# Text without a byte order mark, which neither curl nor the Supervisor expects.
function Write-Text([string]$Path, [string]$Text) {
    [IO.File]::WriteAllText($Path, $Text, (New-Object Text.UTF8Encoding $false))
}

# Asks the server, trusting its own authority and no other. Secrets go by a file, for what is on a command line others
# see. This authority publishes no revocation lists, so a missing one is no failure; a wrong certificate is.
function Invoke-Server([string]$Path, [string]$Secret, [string]$Body) {
    $answer = Join-Path $Work 'answer'
    $rules = "header = `"Authorization: Bearer $Secret`"`n"
    if ($Body) {
        Write-Text (Join-Path $Work 'body') $Body
        $rules += "header = `"Content-Type: application/json`"`n"
        $rules += "data-binary = `"@$((Join-Path $Work 'body') -replace '\\', '/')`"`n"
    }
    Write-Text (Join-Path $Work 'curlrc') $rules
    $status = & curl.exe -sS --ssl-revoke-best-effort -K (Join-Path $Work 'curlrc') --cacert (Join-Path $Work 'ca.pem') `
        --max-time 30 -o $answer -w '%{http_code}' "$Server$Path"
    if ($LASTEXITCODE -ne 0) { throw "cannot reach $Server" }
    $text = [IO.File]::ReadAllText($answer)
    $said = $null
    if ($text) { try { $said = $text | ConvertFrom-Json } catch { $said = $null } }
    return @{ Status = $status; Said = $said }
}

function Get-Detail($Answer) {
    if ($Answer.Said -and $Answer.Said.PSObject.Properties['detail']) { return $Answer.Said.detail }
    return ''
}

# A folder that only administrators and the system read: the credential lies in the Supervisor's file.
function New-PrivateFolder([string]$Path) {
    New-Item -ItemType Directory -Force -Path $Path | Out-Null
    & icacls.exe $Path /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "cannot protect $Path" }
}

function Write-Files([string]$Credential) {
    New-PrivateFolder $Folder
    Write-Text (Join-Path $Folder 'ca.pem') $Authority
    # YAML takes paths with slashes as they are.
    $forward = { param($path) $path -replace '\\', '/' }
    $endpoint = ($Server -replace '^https:', 'wss:') + '/v1/opamp'
    $yaml = $SupervisorYaml.Replace('@ENDPOINT@', $endpoint)
    $yaml = $yaml.Replace('@CA@', (& $forward (Join-Path $Folder 'ca.pem')))
    $yaml = $yaml.Replace('@COLLECTOR@', (& $forward $Collector))
    $yaml = $yaml.Replace('@STORAGE@', (& $forward (Join-Path $Folder 'state')))
    $yaml = $yaml.Replace('${env:MUSTER_AGENT_TOKEN}', $Credential)
    Write-Text $File $yaml
}

function Get-Credential-In-File {
    $found = Select-String -Path $File -Pattern 'Bearer (mst_agent_[A-Za-z0-9_]+)'
    if (-not $found) { throw "$File holds no credential" }
    return $found.Matches[0].Groups[1].Value
}

function Wait-ForAgent([string]$Credential) {
    Write-Output "waiting     up to $Wait s for the server to see it"
    $until = (Get-Date).AddSeconds($Wait)
    $reason = ''
    while ((Get-Date) -lt $until) {
        $answer = $null
        try { $answer = Invoke-Server '/v1/agent' $Credential '' } catch { $reason = "$_" }
        if ($answer) {
            if ($answer.Status -eq '401') { throw "the server doesn't accept this host's credential: it was refused or revoked" }
            if ($answer.Status -eq '200') {
                $reason = $answer.Said.reason
                if ($answer.Said.standing.state -eq 'active' -and $answer.Said.uses_this_credential) {
                    Write-Output "seen        $reason"
                    return
                }
            }
        }
        Start-Sleep -Seconds 2
    }
    throw "the agent isn't there: $reason. It goes on trying; see the event log, source $Service"
}

function Join-Host {
    if ((Test-Path $File) -and -not $Force) {
        Write-Output 'this host is enrolled already; nothing was changed (-Force enrols it anew)'
        return
    }
    foreach ($program in $Collector, $Supervisor) {
        if (-not (Test-Path -PathType Leaf $program)) { throw "$program isn't there; install it, or name it" }
    }
    if (-not ((& $Collector components 2>$null) -match 'opamp')) {
        throw "$Collector lacks the opamp extension; the contrib collector has it"
    }
    if ($DryRun) {
        Write-Output "would enrol at $Server as $Name, write $Folder, and make and start the service $Service"
        return
    }
    $token = $env:MUSTER_TOKEN
    if (-not $token) {
        $typed = Read-Host 'Enrolment token' -AsSecureString
        $token = (New-Object Net.NetworkCredential('', $typed)).Password
    }
    $token = $token.Trim()
    if ($token -notmatch '^mst_enrol_[A-Za-z0-9_]+$') { throw 'that is no enrolment token; those begin with mst_enrol_' }
    $system = "Windows $([Environment]::OSVersion.Version)"
    $body = @{ host = $Name; system = $system } | ConvertTo-Json -Compress
    $answer = Invoke-Server '/v1/enroll' $token $body
    if ($answer.Status -eq '401') { throw "the server doesn't take this token: it is used up, expired or revoked" }
    if ($answer.Status -ne '201') { throw "the server refused to enrol this host (status $($answer.Status)): $(Get-Detail $answer)" }
    Write-Output "enrolled    as agent $($answer.Said.agent_id)"
    $credential = $answer.Said.credential
    if (Get-Service $Service -ErrorAction SilentlyContinue) { Stop-Service $Service }
    Write-Files $credential
    if (-not (Get-Service $Service -ErrorAction SilentlyContinue)) {
        $command = "`"$Supervisor`" --config `"$File`""
        New-Service -Name $Service -BinaryPathName $command -StartupType Automatic `
            -DisplayName 'OpenTelemetry Collector under its Supervisor, managed by Muster' | Out-Null
        & sc.exe failure $Service reset= 86400 actions= restart/5000/restart/5000/restart/5000 | Out-Null
    }
    Start-Service $Service
    Wait-ForAgent $credential
}

function Update-Credential {
    if (-not (Test-Path $File)) { throw "this host isn't enrolled; run this without -Rotate" }
    if ($DryRun) {
        Write-Output "would exchange this host's credential at $Server, and restart its agent"
        return
    }
    $before = Get-Credential-In-File
    $answer = Invoke-Server '/v1/rotate' $before '{}'
    if ($answer.Status -ne '201') {
        throw "the server made no new credential (status $($answer.Status)): $(Get-Detail $answer); nothing was changed"
    }
    $credential = $answer.Said.credential
    Write-Text $File ([IO.File]::ReadAllText($File).Replace($before, $credential))
    Restart-Service $Service
    Wait-ForAgent $credential
    Write-Output 'rotated     the credential before is dead'
}

function Remove-Agent {
    if ($DryRun) {
        Write-Output "would stop and delete the service $Service, and remove $Folder"
        return
    }
    if (Get-Service $Service -ErrorAction SilentlyContinue) {
        Stop-Service $Service
        & sc.exe delete $Service | Out-Null
    }
    if (Test-Path $Folder) { Remove-Item -Recurse -Force $Folder }
    Write-Output 'removed. The server still knows the agent: revoke its credential there, and archive it.'
}

$identity = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
if (-not $DryRun -and -not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'this has to run as an administrator'
}
$Work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
New-PrivateFolder $Work
try {
    Write-Text (Join-Path $Work 'ca.pem') $Authority
    if ($Uninstall) { Remove-Agent } elseif ($Rotate) { Update-Credential } else { Join-Host }
} finally {
    Remove-Item -Recurse -Force $Work
}
