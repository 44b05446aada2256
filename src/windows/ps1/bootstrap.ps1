$ErrorActionPreference='Stop';$ProgressPreference='SilentlyContinue'
$r=New-Object IO.StreamReader([Console]::OpenStandardInput())
$part=@();foreach($n in 1..3){$b=New-Object Text.StringBuilder
while(($l=$r.ReadLine()) -ne $null -and -not $l.StartsWith('.')){[void]$b.Append($l)}
[byte[]]$d=[Convert]::FromBase64String($b.ToString())
$h=[BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($d))
if($l -cne ".$h"){exit 9}
$part+=,$d}
. ([scriptblock]::Create([Text.Encoding]::UTF8.GetString($part[0])))
